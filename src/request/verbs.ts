import {
  type CurrentAction,
  canArchive,
  canCancel,
  canRelease,
  canRemove,
  canRestore,
  type HsmState,
  hasCopy,
  isBusy,
  isClean,
  isDirty,
  isReleased,
  REASONS,
  type Verdict,
} from '../lustre/hsm-state.ts';
import type { RequestFile, Verb, Why } from './types.ts';

/** What a verb means, as the states of a file show it. */
interface VerbRules {
  /** The action that shows it is under way; undefined for a release, which is done when the request is. */
  readonly action: CurrentAction['action'] | undefined;
  /** An action that must not be under way. */
  readonly conflict?: CurrentAction['action'];
  judge(file: RequestFile, archive: number | undefined): Verdict;
  /** Whether the file is in the state that was asked for. */
  reached(state: States): boolean;
  /** Why it is not, when nothing is under way any more. */
  missed(state: States): Why;
}

export interface States {
  readonly hsm: HsmState;
  readonly action: CurrentAction;
}

const ENDED: Why = {
  code: 'ENDED_WITH_ERROR',
  text: 'its action ended without success: cancelled, or ended by the copytool with an error (its log says which)',
};

/** The flags alone can't tell a write during the archive from one before an archive that failed. */
const STILL_DIRTY: Why = {
  code: 'STILL_DIRTY',
  text: 'not archived: it is still dirty (changed meanwhile, or the copytool ended it with an error: its log says which)',
};

const RULES: Readonly<Record<Verb, VerbRules>> = {
  archive: {
    action: 'ARCHIVE',
    conflict: 'REMOVE',
    judge: (file, archive) => canArchive(file.hsm, archive),
    reached: ({ hsm }) => isClean(hsm),
    missed: ({ hsm }) => (isDirty(hsm) ? STILL_DIRTY : ENDED),
  },
  restore: {
    action: 'RESTORE',
    judge: (file) => canRestore(file.hsm),
    reached: ({ hsm }) => !isReleased(hsm),
    missed: () => ENDED,
  },
  release: {
    action: undefined,
    judge: (file) => canRelease(file.hsm, file.size),
    reached: ({ hsm }) => isReleased(hsm),
    missed: () => ENDED,
  },
  remove: {
    action: 'REMOVE',
    conflict: 'ARCHIVE',
    judge: (file) => canRemove(file.hsm),
    reached: ({ hsm }) => !hasCopy(hsm),
    missed: ({ hsm }) =>
      isReleased(hsm) ? { code: 'ONLY_COPY', text: 'was released meanwhile: its copy stays' } : ENDED,
  },
  cancel: {
    action: undefined,
    judge: (file) => canCancel(file.action),
    reached: ({ action }) => !isBusy(action),
    missed: () => ENDED,
  },
};

export type Judgement =
  | { readonly verdict: 'ask' }
  /** It is asked for already: nothing to ask, but something to wait for. */
  | { readonly verdict: 'under_way' }
  | { readonly verdict: 'unneeded' | 'refused'; readonly why: Why };

/** What to do with a file. @param archive the archive id that will be asked for; undefined: the file's own */
export function judge(verb: Verb, file: RequestFile, archive?: number): Judgement {
  const rules = RULES[verb];
  const busy = isBusy(file.action) ? file.action.action : undefined;
  if (busy !== undefined && busy === rules.action) return { verdict: 'under_way' };
  if (busy !== undefined && busy === rules.conflict) {
    const text = `is being ${busy === 'REMOVE' ? 'removed from the archive' : 'archived'}: wait for that, or cancel it`;
    return { verdict: 'refused', why: { code: 'BUSY', text } };
  }
  const verdict = rules.judge(file, archive);
  if (verdict.verdict === 'ask') return { verdict: 'ask' };
  const why = { code: verdict.reason, text: REASONS[verdict.reason] };
  return { verdict: verdict.verdict === 'settled' ? 'unneeded' : 'refused', why };
}

/**
 * Milliseconds. The coordinator's list and a file's state are not changed in one step, and what was asked for takes a moment
 * to get into the list: a file that has missed its goal is looked at again for so long before it is called failed.
 */
export const MISS_GRACE_MS = 2_000;

/** Where a file stands that was asked for. */
export function standing(verb: Verb, state: States): 'reached' | 'under_way' | 'missed' {
  const rules = RULES[verb];
  if (rules.reached(state)) return 'reached';
  return isBusy(state.action) && (rules.action === undefined || state.action.action === rules.action)
    ? 'under_way'
    : 'missed';
}

/** Why the file is not in the state that was asked for. */
export function whyMissed(verb: Verb, state: States): Why {
  return RULES[verb].missed(state);
}

/** Whether the copytool's log has more about it. */
export function isLogged(code: string): boolean {
  return code === ENDED.code || code === STILL_DIRTY.code;
}

/** Whether a request of this verb is at its end when the coordinator took it. */
export function isImmediate(verb: Verb): boolean {
  return verb === 'release';
}
