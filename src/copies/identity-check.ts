import { randomUUID } from 'node:crypto';
import { claimContainer, readControl } from '../blob/control.ts';
import type { BlobStore } from '../blob/store.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';

/** What is asked for its UUID, by the name that an operator knows it by. */
interface Witness {
  readonly what: string;
  readonly uuid: string;
}

/**
 * The UUID on which the file system and all containers agree. Made on first use only when none of them has one; a
 * container without one is claimed for the file system.
 * @throws OperatorError IDENTITY_MISMATCH when they disagree, CONTAINER_TAKEN when a container is another file system's
 */
export async function establishIdentity(fs: LustreFileSystem, stores: Iterable<BlobStore>): Promise<string> {
  const all = [...stores];
  const onRoot = await fs.readUuid();
  const witnesses: Witness[] = onRoot === undefined ? [] : [{ what: `the file system at ${fs.mount}`, uuid: onRoot }];
  for (const store of all) {
    const control = await readControl(store);
    if (control !== undefined) witnesses.push({ what: describe(store), uuid: control.fs });
  }
  const [first, ...others] = witnesses;
  const other = others.find(({ uuid }) => uuid !== first?.uuid);
  if (first !== undefined && other !== undefined) throw mismatch(first, other);
  if (onRoot === undefined && first !== undefined) throw unknownFileSystem(fs, first);
  const uuid = onRoot ?? (await createUuid(fs));
  for (const store of all) await claimContainer(store, uuid);
  return uuid;
}

/**
 * The UUID of the mounted file system, for work that leaves the containers alone: they are asked, and must not belong to
 * another file system, but need not answer. Only a file system without a UUID needs them.
 * @param onSilent is told of a container that could not be asked
 */
export async function recogniseFileSystem(
  fs: LustreFileSystem,
  stores: Iterable<BlobStore>,
  onSilent: (store: BlobStore, error: unknown) => void,
  signal: AbortSignal,
): Promise<string> {
  const all = [...stores];
  const uuid = await fs.readUuid();
  if (uuid === undefined) return establishIdentity(fs, all);
  const own: Witness = { what: `the file system at ${fs.mount}`, uuid };
  const asked = all.map(async (store) => {
    const control = await readControl(store, signal).catch((error: unknown) => onSilent(store, error));
    if (control !== undefined && control.fs !== uuid) throw mismatch(own, { what: describe(store), uuid: control.fs });
  });
  await Promise.all(asked);
  return uuid;
}

/** Gives a file system that has none its UUID; or says the one that another machine was faster to give. */
export async function createUuid(fs: LustreFileSystem): Promise<string> {
  const uuid = randomUUID();
  try {
    await fs.writeUuid(uuid);
    return uuid;
  } catch (error) {
    // Another machine's service was faster.
    const now = error instanceof ErrnoError && error.errno === ERRNO.EEXIST ? await fs.readUuid() : undefined;
    if (now === undefined) throw error;
    return now;
  }
}

function describe(store: BlobStore): string {
  const below = store.prefix === '' ? '' : ` below ${JSON.stringify(store.prefix)}`;
  return `container ${store.container} of account ${store.account}${below}`;
}

function mismatch(a: Witness, b: Witness): OperatorError {
  return new OperatorError(
    `${a.what} and ${b.what} don't belong together: their file-system UUIDs are ${a.uuid} and ${b.uuid}.`,
    {
      code: 'IDENTITY_MISMATCH',
      hint: 'See that the right file system is mounted, and that the archive names its own container; another file system needs a container or prefix of its own.',
    },
  );
}

function unknownFileSystem(fs: LustreFileSystem, owner: Witness): OperatorError {
  return new OperatorError(
    `${owner.what} belongs to file system ${owner.uuid}, and the file system at ${fs.mount} has no UUID.`,
    {
      code: 'IDENTITY_MISMATCH',
      hint: `Is the right file system mounted? A new one needs a container or prefix of its own; it can import from this one. Only if the old one is gone for ever: \`lfsazsync setup --take-over ${owner.uuid}\`.`,
    },
  );
}
