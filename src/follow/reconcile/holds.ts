import type { Catalog } from '../../catalog/catalog.ts';
import type { Fid } from '../../identity/fid.ts';

/** How long a hold alone keeps what a dead file left, milliseconds: whoever died with it is known of by then. */
const HOLD_MS = 3_600_000;

/** The checkpoint that says that a dead thing is being brought back: its blobs stay. */
export const holdName = (fid: Fid): string => `undelete:${fid}`;

/** What a hold says of a directory. */
export interface HoldState {
  /** The one that stands for it by now. */
  readonly made?: Fid;
  /** What its marker said of users' extended attributes (`lfsazsync_xattr`). */
  readonly xattrs?: string;
  /** What it said of the rest, of one that nobody had looked at while it lived; the time in seconds. */
  readonly attributes?: { readonly uid: number; readonly gid: number; readonly mode: number; readonly mtime: number };
}

/**
 * Whether a blob of a dead file is to stay because the file is being brought back, or was by somebody who was killed
 * before the blob was made the new file's. To be asked after the blob was looked at: whoever holds it changes its ETag
 * next, so a deletion that was decided on before fails.
 */
export async function isHeld(
  catalog: Pick<Catalog, 'checkpoint' | 'bindingsAt' | 'present'>,
  fid: Fid,
  blob: { readonly archive: number; readonly name: string },
): Promise<boolean> {
  const hold = await catalog.checkpoint(holdName(fid));
  if (hold !== undefined && Date.now() - hold.at < HOLD_MS) return true;
  const bound = (await catalog.bindingsAt(blob.archive, blob.name)).map((binding) => binding.fid);
  return (await catalog.present(bound.filter((other) => other !== fid))).size > 0;
}
