/**
 * HSM flags of a file, and what the coordinator will do with a file in that state. The rules are those of Lustre's MDT
 * (asked and recorded, Lustre 2.15 to 2.17): a request for a file that breaks them is refused as a whole.
 */

/** The flags of `trusted.hsm`, as `lfs hsm_state` shows them. */
export const HSM = {
  NONE: 0x00,
  EXISTS: 0x01,
  DIRTY: 0x02,
  RELEASED: 0x04,
  ARCHIVED: 0x08,
  NORELEASE: 0x10,
  NOARCHIVE: 0x20,
  LOST: 0x40,
} as const;

export interface HsmState {
  /** The flags. */
  readonly states: number;
  /** The archive id; 0 when none was ever set. */
  readonly archive: number;
}

/** What the coordinator has under way for a file. */
export interface CurrentAction {
  readonly action: 'NOOP' | 'ARCHIVE' | 'RESTORE' | 'REMOVE' | 'CANCEL';
  readonly state: 'none' | 'waiting' | 'running' | 'done';
  /** Bytes moved so far. */
  readonly done: bigint;
}

export const isReleased = (hsm: HsmState) => (hsm.states & HSM.RELEASED) !== 0;
export const isArchived = (hsm: HsmState) => (hsm.states & HSM.ARCHIVED) !== 0;
export const isDirty = (hsm: HsmState) => (hsm.states & HSM.DIRTY) !== 0;
export const isLost = (hsm: HsmState) => (hsm.states & HSM.LOST) !== 0;
/** There is, or may be, something of this file in the archive (an unfinished archive sets EXISTS alone). */
export const hasCopy = (hsm: HsmState) => (hsm.states & (HSM.ARCHIVED | HSM.EXISTS)) !== 0;
/** Archived, and unchanged since. */
export const isClean = (hsm: HsmState) => isArchived(hsm) && !isDirty(hsm);
export const isBusy = (action: CurrentAction) =>
  action.action !== 'NOOP' && (action.state === 'waiting' || action.state === 'running');

const WORDS: readonly (readonly [number, string])[] = [
  [HSM.RELEASED, 'released'],
  [HSM.EXISTS, 'exists'],
  [HSM.DIRTY, 'dirty'],
  [HSM.ARCHIVED, 'archived'],
  [HSM.NORELEASE, 'never_release'],
  [HSM.NOARCHIVE, 'never_archive'],
  [HSM.LOST, 'lost_from_hsm'],
];

/** The flags in the words and order of `lfs hsm_state`; `none` when there are none. */
export function describeState(hsm: HsmState): string {
  const words = WORDS.filter(([flag]) => (hsm.states & flag) !== 0).map(([, word]) => word);
  return words.length === 0 ? 'none' : words.join(' ');
}

/** Why a file is not asked for. The codes are stable: they are part of `--json`. */
export const REASONS = {
  ALREADY_ARCHIVED: 'archived already, and unchanged since',
  ALREADY_RELEASED: 'released already',
  ALREADY_RESIDENT: 'its data is in Lustre already',
  NO_COPY: 'has no copy in the archive',
  NO_ACTION: 'has no action waiting or running',
  EMPTY: 'is empty: a release would free nothing',
  NEVER_ARCHIVED: 'was never archived: archive it first',
  DIRTY: 'changed since it was archived: archive it again first',
  NOARCHIVE: 'is flagged never_archive (`lfs hsm_clear --noarchive` takes the flag off)',
  NORELEASE: 'is flagged never_release (`lfs hsm_clear --norelease` takes the flag off)',
  LOST: 'is flagged lost: its copy was found to be gone or broken',
  OTHER_ARCHIVE: 'belongs to another archive id',
  ONLY_COPY: 'is released: the copy is its only data, restore it first',
  HALF_RELEASED: 'is released but not flagged archived, so Lustre will not restore it',
} as const;

export type Reason = keyof typeof REASONS;

/** `ask`: the coordinator will take it. `settled`: nothing is needed. `refused`: it would be refused, or do harm. */
export type Verdict =
  | { readonly verdict: 'ask' }
  | { readonly verdict: 'settled' | 'refused'; readonly reason: Reason };

const ASK: Verdict = { verdict: 'ask' };
const settled = (reason: Reason): Verdict => ({ verdict: 'settled', reason });
const refused = (reason: Reason): Verdict => ({ verdict: 'refused', reason });

/** Whether an archive can be asked for. @param archive the archive id it will be asked for; undefined: Lustre's default */
export function canArchive(hsm: HsmState, archive?: number): Verdict {
  if (isLost(hsm)) return refused('LOST');
  if (isReleased(hsm)) return isArchived(hsm) ? settled('ALREADY_RELEASED') : refused('HALF_RELEASED');
  if (isClean(hsm)) return settled('ALREADY_ARCHIVED');
  if ((hsm.states & HSM.NOARCHIVE) !== 0) return refused('NOARCHIVE');
  if (archive !== undefined && (hsm.states & HSM.EXISTS) !== 0 && hsm.archive !== archive)
    return refused('OTHER_ARCHIVE');
  return ASK;
}

/** Whether a restore can be asked for. */
export function canRestore(hsm: HsmState): Verdict {
  if (!isReleased(hsm)) return settled('ALREADY_RESIDENT');
  if (isLost(hsm)) return refused('LOST');
  if (!isArchived(hsm)) return refused('HALF_RELEASED');
  return ASK;
}

/** Whether a release can be asked for. It does not look at the copy: that must be verified besides. */
export function canRelease(hsm: HsmState, size?: bigint): Verdict {
  if (isReleased(hsm)) return settled('ALREADY_RELEASED');
  if (!isArchived(hsm)) return refused('NEVER_ARCHIVED');
  if (isDirty(hsm)) return refused('DIRTY');
  if (isLost(hsm)) return refused('LOST');
  if ((hsm.states & HSM.NORELEASE) !== 0) return refused('NORELEASE');
  if (size === 0n) return settled('EMPTY');
  return ASK;
}

/** Whether the removal of the copy can be asked for. */
export function canRemove(hsm: HsmState): Verdict {
  if (isReleased(hsm)) return refused('ONLY_COPY');
  return hasCopy(hsm) ? ASK : settled('NO_COPY');
}

/** Whether there is something to cancel. */
export function canCancel(action: CurrentAction): Verdict {
  return isBusy(action) ? ASK : settled('NO_ACTION');
}
