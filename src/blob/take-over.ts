import { OperatorError } from '../service/errors.ts';
import { inheritClaims } from './claims.ts';
import { type ControlState, controlName, readControlState, replaceControl, taken, where } from './control.ts';
import { isBlobError } from './errors.ts';
import { lastHolder } from './lease.ts';
import type { BlobStore } from './store.ts';

/** From which file system a container goes to which: UUIDs. */
export interface Succession {
  readonly from: string;
  readonly to: string;
}

/**
 * Whether the container may be taken over from `from`, as far as it can say: it is that one's, and nobody follows it.
 * @throws OperatorError FOLLOWER_RUNNING
 */
export async function requireAbandoned(store: BlobStore, signal?: AbortSignal): Promise<void> {
  const state = await store.head(controlName(store.prefix), { signal });
  if (state?.leaseState === 'leased') throw await followed(store, signal);
}

/**
 * Gives the container, below its prefix, from a file system that is gone to another one. The control blob is changed
 * first, under the version that was read: a follower at work holds a lease on it, and so keeps everything as it is. From
 * then on the old one's services stop. Killed at any point, it is finished by being called again.
 * @param onTake is told before the control blob is written
 * @throws OperatorError FOLLOWER_RUNNING, CONTAINER_TAKEN when it is a third one's
 */
export async function takeOver(
  store: BlobStore,
  { from, to }: Succession,
  onTake: (before: ControlState) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  for (;;) {
    const before = await readControlState(store, signal);
    if (before === undefined) throw gone(store);
    if (before.control.fs === to) break;
    if (before.control.fs !== from) throw taken(store, before.control, to);
    await onTake(before);
    const { control, etag } = before;
    const previous = [...(control.previous ?? []), { fs: from, until: new Date().toISOString() }];
    try {
      await replaceControl(store, { ...control, fs: to, previous }, etag, signal);
      break;
    } catch (error) {
      if (isBlobError(error, 'LEASED')) throw await followed(store, signal);
      // Another version now; ours perhaps, if only its answer was lost.
      if (!isBlobError(error, 'CONDITION')) throw error;
    }
  }
  const foreign = await inheritClaims(store, from, { prefix: store.prefix, fs: to }, signal);
  if (foreign !== undefined) throw taken(store, foreign, to);
}

async function followed(store: BlobStore, signal: AbortSignal | undefined): Promise<OperatorError> {
  const holder = await lastHolder(store, signal);
  const who = holder === undefined ? '' : `, the last one by ${holder}`;
  return new OperatorError(`${where(store)} has a living follower${who}: its file system is not gone`, {
    code: 'FOLLOWER_RUNNING',
    exit: 'tryAgain',
    hint: 'A container is taken over only from a file system that is gone for ever. If the follower was killed, its lease ends within a minute: try again then.',
  });
}

function gone(store: BlobStore): OperatorError {
  return new OperatorError(`${where(store)} has no control blob any more`, {
    code: 'CONTAINER_UNCLAIMED',
    hint: 'Run `lfsazsync setup` without --take-over: nobody claims it.',
  });
}
