import type { Tombstone } from '../../catalog/types.ts';
import { forEachBounded } from '../../service/bounded.ts';
import { OperatorError } from '../../service/errors.ts';
import type { ReconcileContext } from './context.ts';
import { passesIn } from './errors.ts';
import type { PutOff } from './put-off.ts';
import { removeDead } from './tombstones.ts';

export interface ReapOptions {
  /** How long what the dead left is kept, seconds: copies and markers, so that all of it can be brought back. */
  readonly grace: number;
  /** Dead at work at the same time. */
  readonly concurrency: number;
  /** Ends it between two of the dead. */
  readonly stop?: AbortSignal;
  /** Asked before copies are removed: where removals are to stop, for now. Markers are nobody's data. */
  readonly mayRemove: (tombstone: Tombstone) => Promise<boolean>;
  /** Of which it is known that they can't be removed just now; kept from pass to pass. */
  readonly putOff?: PutOff;
}

export interface Reaped {
  /** Nothing is left of them. */
  readonly buried: number;
  /** Not removed, because they may not be now, or it failed. */
  readonly kept: number;
}

/**
 * Removes what the dead left, when their grace period is over. What fails is logged and stays for a later time. Rejects
 * with the signal's reason, and when the file system is another one.
 */
export async function reap(context: ReconcileContext, options: ReapOptions): Promise<Reaped> {
  const { catalog, log, signal } = context;
  const { putOff } = options;
  const reaped = { buried: 0, kept: 0 };
  const now = Math.floor(Date.now() / 1000);
  const work = async (tombstone: Tombstone) => {
    if (options.stop?.aborted === true) return;
    try {
      const copies = tombstone.type !== 'file' || (await options.mayRemove(tombstone));
      if ((!copies && !hasMarkers(tombstone)) || putOff?.waits(tombstone.fid) === true) {
        reaped.kept += 1;
        return;
      }
      const isBuried = await removeDead(context, tombstone, { copies });
      reaped[isBuried ? 'buried' : 'kept'] += 1;
      if (isBuried) putOff?.over(tombstone.fid);
      else if (copies) putOff?.failed(tombstone.fid);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof OperatorError) throw error;
      reaped.kept += 1;
      if (passesIn(error) === undefined) putOff?.failed(tombstone.fid);
      log.warn('what a dead file left could not be removed', { fid: tombstone.fid, err: error });
    }
  };
  await forEachBounded(each(catalog.tombstones(now - options.grace)), work, {
    concurrency: options.concurrency,
    signal,
  });
  return reaped;
}

const hasMarkers = ({ blobs }: Tombstone) => blobs.some(({ kind }) => kind !== 'file');

async function* each(pages: AsyncIterable<readonly Tombstone[]>): AsyncGenerator<Tombstone> {
  for await (const page of pages) yield* page;
}
