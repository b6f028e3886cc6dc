import { setTimeout as delay } from 'node:timers/promises';
import { controlName, requireControl } from '../blob/control.ts';
import type { BlobStore } from '../blob/store.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';

export interface ContainerWatchOptions {
  readonly stores: Iterable<BlobStore>;
  readonly fsUuid: string;
  /** Milliseconds between two looks. */
  readonly every: number;
  readonly log: Pick<Log, 'debug'>;
  /** Told once, of the first container that is not this file system's any more. */
  readonly onLost: (error: OperatorError) => void;
}

/**
 * Looks at the control blobs now and then, as long as a service runs: a container that was taken over by another file
 * system must not be written to any more. What can't be read proves nothing; the control blob is read only when it has
 * another ETag than before.
 * @returns what ends it
 */
export function watchContainers(options: ContainerWatchOptions): () => Promise<void> {
  const ended = new AbortController();
  const watches = Promise.all([...options.stores].map((store) => watch(store, options, ended)));
  return async () => {
    ended.abort();
    await watches;
  };
}

async function watch(store: BlobStore, options: ContainerWatchOptions, ended: AbortController): Promise<void> {
  const { signal } = ended;
  const { fsUuid, every, log, onLost } = options;
  let seen: string | undefined;
  while (await delay(every, true, { signal, ref: false }).catch(() => false)) {
    try {
      const etag = (await store.head(controlName(store.prefix), { signal }))?.etag;
      if (etag !== undefined && etag === seen) continue;
      await requireControl(store, fsUuid, signal);
      seen = etag;
    } catch (error) {
      if (signal.aborted) return;
      // Without a control blob it is nobody's, for now.
      if (error instanceof OperatorError && error.code === 'CONTAINER_TAKEN') {
        ended.abort();
        onLost(error);
        return;
      }
      log.debug('control blob not read', { container: store.container, err: error });
    }
  }
}
