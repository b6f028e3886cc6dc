import * as z from 'zod';
import { OperatorError } from '../service/errors.ts';
import { mustBeFlat } from './account-kind.ts';
import { CLAIMS_NAME, type Claim, enterClaim, foreignClaim } from './claims.ts';
import { isBlobError } from './errors.ts';
import { reservedName } from './naming.ts';
import { readSmallBlob } from './small-blob.ts';
import type { BlobStore } from './store.ts';

/** What the control blob says: which file system the container, below the prefix, belongs to. */
export interface Control {
  /** Version of the format in the container. */
  readonly version: number;
  /** UUID of the file system. */
  readonly fs: string;
  readonly prefix: string;
  /** ISO 8601. */
  readonly created: string;
  /** File systems from which it was taken over, the latest last. */
  readonly previous?: readonly { readonly fs: string /** ISO 8601. */; readonly until: string }[];
}

/** The control blob, and the version that was read. */
export interface ControlState {
  readonly control: Control;
  readonly etag: string;
}

/** The format that we write, and the newest that we read. */
export const FORMAT_VERSION = 1;

const uuid = z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const schema = z.object({
  version: z.int().min(1),
  fs: uuid,
  prefix: z.string(),
  created: z.string(),
  previous: z.array(z.object({ fs: uuid, until: z.string() })).optional(),
});

// A control blob is some 150 bytes; what is larger was not written by us.
const MAX_CONTROL_BYTES = 65_536;

/** The name of the control blob below a prefix. */
export function controlName(prefix: string): string {
  return reservedName(prefix, 'control');
}

/**
 * The control blob, or undefined when there is none.
 * @throws OperatorError when it can't be read as one, or was written by a newer version
 */
export async function readControl(store: BlobStore, signal?: AbortSignal): Promise<Control | undefined> {
  return (await readControlState(store, signal))?.control;
}

/** As `readControl`, with the version that was read. */
export function readControlState(store: BlobStore, signal?: AbortSignal): Promise<ControlState | undefined> {
  return readControlOf(store, store.prefix, signal);
}

/**
 * Makes the container, below the prefix, belong to the file system of this UUID; does nothing when it does already.
 * @throws OperatorError CONTAINER_TAKEN when it, a place above it or a place below it belongs to another one;
 *   ACCOUNT_HIERARCHICAL when only what was written shows it
 */
export async function claimContainer(store: BlobStore, uuid: string, signal?: AbortSignal): Promise<Control> {
  const own = await readControl(store, signal);
  if (own !== undefined && own.fs !== uuid) throw taken(store, own, uuid);
  await requireFree(store, uuid, signal);
  const foreign = await enterClaim(store, { prefix: store.prefix, fs: uuid }, signal);
  if (foreign !== undefined) throw taken(store, foreign, uuid);
  if (own !== undefined) return own;
  const control = await writeControl(store, uuid, signal);
  await mustBeFlat(store, signal);
  return control;
}

/**
 * That no other file system has claimed what is above, at or below the prefix.
 * @param uuid undefined: of one that has none yet
 * @throws OperatorError CONTAINER_TAKEN
 */
export async function requireFree(store: BlobStore, uuid: string | undefined, signal?: AbortSignal): Promise<void> {
  for (const prefix of outerPrefixes(store.prefix)) {
    const outer = (await readControlOf(store, prefix, signal))?.control;
    if (outer !== undefined && outer.fs !== uuid) throw taken(store, outer, uuid);
  }
  const foreign = await foreignClaim(store, { prefix: store.prefix, fs: uuid }, signal);
  if (foreign !== undefined) throw taken(store, foreign, uuid);
}

/** Puts a control blob in the place of the version that was read. CONDITION when that is another now, LEASED when a follower has it. */
export async function replaceControl(
  store: BlobStore,
  control: Control,
  ifMatch: string,
  signal?: AbortSignal,
): Promise<void> {
  const body = Buffer.from(`${JSON.stringify(schema.parse(control))}\n`);
  await store.put(controlName(store.prefix), body, { condition: { ifMatch }, metadata: {}, signal });
}

async function writeControl(store: BlobStore, uuid: string, signal: AbortSignal | undefined): Promise<Control> {
  const control: Control = {
    version: FORMAT_VERSION,
    fs: uuid,
    prefix: store.prefix,
    created: new Date().toISOString(),
  };
  schema.parse(control);
  try {
    const body = Buffer.from(`${JSON.stringify(control)}\n`);
    await store.put(controlName(store.prefix), body, { condition: { ifNoneMatch: '*' }, metadata: {}, signal });
    return control;
  } catch (error) {
    if (!isBlobError(error, 'CONDITION')) throw error;
    const existing = await readControl(store, signal);
    if (existing === undefined) throw error;
    if (existing.fs !== uuid) throw taken(store, existing, uuid);
    return existing;
  }
}

/**
 * The control blob of this file system, which must be there.
 * @throws OperatorError CONTAINER_TAKEN when it is another's, CONTAINER_UNCLAIMED when there is none
 */
export async function requireControl(store: BlobStore, uuid: string, signal?: AbortSignal): Promise<Control> {
  const control = await readControl(store, signal);
  if (control === undefined) {
    throw new OperatorError(`${where(store)} belongs to no file system yet`, {
      code: 'CONTAINER_UNCLAIMED',
      hint: 'Run `lfsazsync setup` once, from a client of the file system that it is for.',
    });
  }
  if (control.fs !== uuid) throw taken(store, control, uuid);
  return control;
}

async function readControlOf(
  store: BlobStore,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<ControlState | undefined> {
  const name = controlName(prefix);
  const found = await readSmallBlob(store, name, MAX_CONTROL_BYTES, signal);
  if (found === undefined) return undefined;
  if (found === 'too large') throw unreadable(store, name);
  return { control: parseControl(store, name, found.bytes), etag: found.etag };
}

function parseControl(store: BlobStore, name: string, bytes: Buffer): Control {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw unreadable(store, name);
  }
  const version = z.object({ version: z.number() }).safeParse(value).data?.version;
  if (version !== undefined && version > FORMAT_VERSION) {
    throw new OperatorError(
      `${where(store)} has format version ${version}; this lfsazsync reads up to ${FORMAT_VERSION}`,
      {
        code: 'FORMAT_TOO_NEW',
        hint: 'Use the newer lfsazsync that wrote it.',
      },
    );
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw unreadable(store, name);
  const { previous, ...control } = parsed.data;
  return { ...control, ...(previous === undefined ? {} : { previous }) };
}

/** `''`, `a`, `a/b` for the prefix `a/b/c`. */
function outerPrefixes(prefix: string): string[] {
  if (prefix === '') return [];
  const segments = prefix.split('/');
  return segments.map((_, index) => segments.slice(0, index).join('/'));
}

export function taken(store: BlobStore, owner: Claim, uuid: string | undefined): OperatorError {
  const claimed = owner.prefix === store.prefix ? '' : ` (claimed with the prefix ${JSON.stringify(owner.prefix)})`;
  return new OperatorError(
    `${where(store)} belongs to file system ${owner.fs}${claimed}, not to ${uuid ?? 'this one'}`,
    {
      code: 'CONTAINER_TAKEN',
      hint: `Give this file system another container or another prefix. Who has which is in the blob ${CLAIMS_NAME}.`,
    },
  );
}

function unreadable(store: BlobStore, name: string): OperatorError {
  return new OperatorError(
    `the blob ${name} in container ${store.container} of account ${store.account} is not a control blob`,
    {
      code: 'CONTROL_UNREADABLE',
      hint: 'Find out who wrote it. Without it, nothing says which file system the container belongs to.',
    },
  );
}

export function where(store: BlobStore): string {
  const below = store.prefix === '' ? '' : ` below ${JSON.stringify(store.prefix)}`;
  return `container ${store.container} of account ${store.account}${below}`;
}
