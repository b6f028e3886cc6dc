import { setTimeout as delay } from 'node:timers/promises';
import { formatGeneration } from '../identity/generation.ts';
import { carryBlob } from './carry.ts';
import { BlobError, type BlobErrorCode, describeSubject, isBlobError } from './errors.ts';
import { type BlobMetadata, identityFrom } from './metadata.ts';
import type { BlobState } from './state.ts';
import type { BlobStore, WriteCondition } from './store.ts';

export interface CopyOptions {
  /** Of the source, a previous version in place of what it is now; `source` is that version's state. */
  readonly version?: string | undefined;
  /** State of the destination that it is made for. */
  readonly condition: WriteCondition;
  /** All metadata of the copy; the source's does not come along by itself. Its identity names the source's generation. */
  readonly metadata: BlobMetadata;
  readonly signal?: AbortSignal | undefined;
}

/** First wait between two looks at a copy that is under way, milliseconds; it doubles up to the last. */
const FIRST_WAIT_MS = 50;
const LAST_WAIT_MS = 15_000;

/**
 * Copies the version of a file's blob that `source` is to another name of the container, in its access tier, and
 * resolves with the copy once it is complete and proven: of the source's length and generation. The source stays.
 * Within the account no data passes through this machine, except for a source whose URL is longer than the service takes.
 *
 * A copy that an earlier process began, or whose answer was lost, is recognised by the generation and waited for.
 * Rejects with BlobError: CONDITION (something else is at the destination), SOURCE_CONDITION or NOT_FOUND (the source is
 * another version now, or gone), ARCHIVED, PENDING_COPY (somebody else's copy to it is under way), LENGTH and SERVER
 * (the copy failed; the next try replaces what it left).
 */
export async function copyBlob(
  store: BlobStore,
  source: BlobState,
  name: string,
  options: CopyOptions,
): Promise<BlobState> {
  if (source.accessTier === 'Archive' || (source.archiveStatus ?? '') !== '') {
    throw failure(store, source.name, 'ARCHIVED', 'it is in the Archive tier, or on its way back from it', {
      verb: 'copy',
      hint: 'Change its tier to Hot, Cool or Cold, and wait some hours; until then its copy stays where it is.',
    });
  }
  const { version, condition, metadata, signal } = options;
  const tier = tierToAskFor(source);
  try {
    if (version !== undefined) {
      if (!(await store.isCopySource(source.name, version)))
        throw failure(store, source.name, 'INVALID', 'its name is too long for its versions to be copied', {
          verb: 'copy',
        });
      await store.startCopy({ name: source.name, version }, name, { condition, metadata, tier, signal });
    } else if (await store.isCopySource(source.name)) {
      await store.startCopy({ name: source.name, ifMatch: source.etag }, name, { condition, metadata, tier, signal });
    } else {
      await carryBlob(store, source, name, { condition, metadata, tier, signal });
    }
  } catch (error) {
    // Of an earlier try, by this or another process: the end of it decides.
    if (!isBlobError(error, 'CONDITION', 'PENDING_COPY')) throw error;
    const there = await store.head(name, { signal });
    if (there === undefined || !isSameVersion(there, metadata)) {
      const asExpected = 'ifMatch' in condition ? there?.etag === condition.ifMatch : there === undefined;
      if (error.code === 'PENDING_COPY' || !asExpected) throw error;
      // Azurite names both conditions alike.
      throw failure(store, source.name, 'SOURCE_CONDITION', 'it has changed', { verb: 'copy' });
    }
  }
  return settled(store, source, name, options);
}

/** What can be asked for of a block blob. */
const TIERS = ['Hot', 'Cool', 'Cold'];

/**
 * The tier that a copy has to be given to be in its source's; undefined: the account's, which it gets by itself. Premium
 * accounts say Premium of their blobs, and accounts may have tiers of their own (Smart): neither can be asked for.
 * https://learn.microsoft.com/azure/storage/blobs/access-tiers-overview
 */
function tierToAskFor({ accessTier, tierInferred }: BlobState): string | undefined {
  if (accessTier === undefined || tierInferred === true) return undefined;
  return TIERS.includes(accessTier) ? accessTier : undefined;
}

/** Waits until the copy at `name` is complete, and proves it. */
async function settled(store: BlobStore, source: BlobState, name: string, options: CopyOptions): Promise<BlobState> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LAST_WAIT_MS)) {
    const there = await store.head(name, { signal: options.signal });
    if (there === undefined || !isSameVersion(there, options.metadata)) {
      throw failure(store, name, 'CONDITION', 'something else is there after a copy to it');
    }
    switch (there.copyStatus) {
      case 'pending':
        await delay(wait, undefined, { signal: options.signal }).catch(() => options.signal?.throwIfAborted());
        continue;
      case 'failed':
      case 'aborted':
        throw failure(store, name, 'SERVER', `the service's copy to it ${there.copyStatus}`, { retriable: true });
      default:
        if (there.length === source.length) return there;
        throw failure(store, name, 'LENGTH', `the copy has ${there.length} bytes, its source ${source.length}`, {
          retriable: true,
        });
    }
  }
}

function isSameVersion(there: BlobState, metadata: BlobMetadata): boolean {
  const expected = identityFrom(metadata);
  const { identity } = there;
  if (identity === undefined || expected === undefined) return false;
  const generation = (one: typeof identity) => (one.generation === undefined ? '' : formatGeneration(one.generation));
  return (
    identity.fs === expected.fs &&
    identity.fid === expected.fid &&
    identity.kind === expected.kind &&
    identity.from === expected.from &&
    generation(identity) === generation(expected)
  );
}

function failure(
  store: BlobStore,
  blob: string,
  code: BlobErrorCode,
  says: string,
  { verb = 'copy to', ...details }: { verb?: string; hint?: string; retriable?: boolean } = {},
): BlobError {
  const { account, container } = store;
  return new BlobError(`${describeSubject({ verb, account, container, blob })}: ${says}`, { code, ...details });
}
