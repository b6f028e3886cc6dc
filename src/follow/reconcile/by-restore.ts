import { HSM, isReleased } from '../../lustre/hsm-state.ts';
import type { ReconcileContext } from './context.ts';
import { ReconcileError } from './errors.ts';
import type { View } from './look.ts';

/** A restore that was asked for is looked for after this. */
const LOOK_AFTER_MS = 2_000;
/** Where a row's progress says that the file was marked dirty by us, for its copy to be written under the new name. */
const REARCHIVE = Buffer.from('rearchive');

/** How renamed files are restored and archived anew: `rename_mode: restore`. */
export interface ByRestore {
  /** Asks the coordinator for the file's data. Resolves with false when enough are on their way already. */
  readonly restore: (view: View) => Promise<boolean>;
  /** It has its data. */
  readonly restored: (view: View) => void;
}

/** A row of the journal, as far as this concerns it. */
export interface MoveRow {
  readonly stamp: number;
  readonly progress?: Buffer | undefined;
}

/** Whether it was marked dirty by us, and its archive is still to be asked for, perhaps once more. */
export function isRearchived(row: MoveRow | undefined): boolean {
  return row?.progress?.equals(REARCHIVE) === true;
}

/**
 * The way of the original deployment, for accounts in which nothing may be copied: a file whose copy is not where it
 * belongs gets its data back, is marked dirty, and is archived under its new name by a copytool; its old blob goes when
 * the new one is proven, like every older version. Until then the old one stays. Killed anywhere, it is done again.
 * @throws ReconcileError `soon` while its data are on their way
 */
export async function moveByRestore(
  context: ReconcileContext,
  by: ByRestore,
  view: View,
  row: MoveRow | undefined,
): Promise<void> {
  const { fid, hsm } = view;
  // Its own row does it, which knows how far it is.
  if (row === undefined) throw new ReconcileError('asked', 'soon', `${fid} is to be restored first`, LOOK_AFTER_MS);
  if (isReleased(hsm)) {
    const asked = await by.restore(view);
    const why = asked ? 'its data were asked for' : 'too many files are being restored';
    throw new ReconcileError('asked', 'soon', `${fid} waits: ${why}`, LOOK_AFTER_MS);
  }
  by.restored(view);
  // First noted, then marked: a file that is dirty for no other reason must not wait for the next policy run.
  const progress = { fid, stamp: row.stamp, outcome: 'progress' as const, progress: REARCHIVE };
  await context.catalog.apply({ outcomes: [progress] });
  await context.step('move.noted');
  await context.fs.files.setHsm(fid, { set: HSM.DIRTY });
  await context.step('move.dirtied');
  await context.archiveAgain(fid);
  context.log.info('renamed file is archived anew', { fid });
}
