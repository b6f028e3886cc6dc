import { readBlob } from '../blob/reading.ts';
import type { ReadAs, ReadDirectory, ReadFile, ReadLink, ReadSymlink } from '../blob/reading-types.ts';
import type { BlobState } from '../blob/state.ts';
import type { Filters } from '../request/filters.ts';
import { under } from './paths.ts';
import { tell } from './problems.ts';
import type { ImportWorld } from './world.ts';

/** A blob that is to become something in Lustre. */
export interface Wanted {
  readonly blob: BlobState;
  readonly read: ReadFile | ReadDirectory | ReadSymlink | ReadLink;
  /** Relative to the root, with the directory that everything goes to. */
  readonly path: Buffer;
}

/**
 * What of a page is to be imported: neither ours (the file is alive, or was removed: bringing it back is for `undelete`),
 * nor filtered out, nor unreadable. Everything is counted, and told where it is left out for a reason of its own.
 */
export function wantedOf(world: ImportWorld, filters: Filters, blobs: readonly BlobState[]): Wanted[] {
  const { request, counts, prefix } = world;
  const options = { prefix, defaults: request.defaults };
  const wanted: Wanted[] = [];
  counts.listed += blobs.length;
  for (const blob of blobs) {
    const read = readBlob(blob, options);
    if (read.kind === 'reserved') counts.passedOver++;
    else if (blob.identity !== undefined && blob.identity.fs === world.uuid) counts.own++;
    else if (read.kind !== 'refused' && !filters.name(read.path)) counts.passedOver++;
    else if (read.kind === 'refused') tell(world, { outcome: 'refused', ...problemOf(blob, read) });
    else wanted.push({ blob, read, path: under(request.to, read.path) });
  }
  return wanted;
}

function problemOf(blob: BlobState, { reason, detail }: Extract<ReadAs, { kind: 'refused' }>) {
  return { blob: blob.name, code: reason, detail };
}
