import { setTimeout as delay } from 'node:timers/promises';
import type { BlobStore } from '../blob/store.ts';
import { type LocatedCopy, type Miss, searchCopy } from '../copies/search-copy.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ActionError } from './action-error.ts';
import type { FileView } from './file-view.ts';

/** First wait between two searches, milliseconds; it doubles up to the last. */
const FIRST_WAIT_MS = 250;
const LAST_WAIT_MS = 4_000;

/**
 * Looks for the copy until it is found or the time is up: the follower may be moving it. Each search looks at the file
 * anew.
 * @param timeout milliseconds
 * @throws ActionError (ENODATA) that names everything that was looked at
 */
export async function locateCopy(
  view: () => Promise<FileView>,
  archive: { store: BlobStore; prefix: string },
  fsUuid: string,
  options: {
    timeout: number;
    signal: AbortSignal;
    onMiss: (misses: readonly Miss[]) => void;
    /** What a wait is made within; others work meanwhile. */
    pause: <T>(wait: () => Promise<T>) => Promise<T>;
  },
): Promise<{ file: FileView; copy: LocatedCopy }> {
  let end: number | undefined;
  for (let wait = FIRST_WAIT_MS, round = 0; ; wait = Math.min(2 * wait, LAST_WAIT_MS), round++) {
    options.signal.throwIfAborted();
    const file = await view();
    const { copy, misses } = await searchCopy(file, archive, fsUuid, options.signal);
    if (copy !== undefined) return { file, copy };
    if (round === 0) options.onMiss(misses);
    // From the first answer on: an endpoint that did not answer for a while takes nothing from this time.
    end ??= performance.now() + options.timeout;
    const left = end - performance.now();
    if (left <= 0)
      throw new ActionError('copy-missing', ERRNO.ENODATA, `the copy of the file was not found: ${describe(misses)}`);
    await options.pause(() =>
      delay(Math.min(wait, left), undefined, { signal: options.signal }).catch(() => options.signal.throwIfAborted()),
    );
  }
}

function describe(misses: readonly Miss[]): string {
  if (misses.length === 0) return 'the file has no name that can be looked at';
  return misses.map(({ name, found }) => `${JSON.stringify(name)}: ${found}`).join('; ');
}
