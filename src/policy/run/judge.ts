import type { Expression } from '../../expression/ast.ts';
import { truthOf } from '../../expression/evaluate.ts';
import type { PolicySubject } from '../../expression/subject.ts';
import { canArchive, canRelease, isBusy, type Verdict } from '../../lustre/hsm-state.ts';
import { type Policy, type Rule, ruleFor } from '../policies.ts';
import type { Looked, LookedFile } from './look.ts';
import type { SkipReason } from './reasons.ts';

export interface JudgeOptions {
  readonly policy: Policy;
  readonly target: Expression | undefined;
  /** Take files whose rule's condition does not hold yet. */
  readonly ignoreConditions: boolean;
  /** Archive ids that somebody serves; empty: it is not known which. */
  readonly served: ReadonlySet<number>;
  /** Milliseconds since 1970: ages are counted from then. */
  readonly now: number;
}

/** A file that is to be asked for. */
export interface Chosen {
  readonly file: LookedFile;
  readonly rule: Rule;
  /** Of the request. */
  readonly archive: number;
}

export type Judgement = { readonly chosen: Chosen } | { readonly skip: SkipReason };

/** Whether a file is asked for, by all that was just seen of it. */
export function judgeFile(looked: Looked | undefined, options: JudgeOptions): Judgement {
  if (looked === undefined || looked === 'unreadable') return { skip: 'UNREADABLE' };
  if (looked === 'dead') return { skip: 'VANISHED' };
  const { policy } = options;
  const { entry } = looked.fresh;
  if (entry.type !== 'file') return { skip: 'NOT_A_FILE' };
  if (entry.nlink === 0) return { skip: 'NO_NAME' };
  const ruled = ruledBy(subjectOf(looked), options);
  if ('skip' in ruled) return ruled;
  const { rule } = ruled;
  const state = { states: entry.hsm, archive: entry.archive };
  const archive = entry.archive === 0 ? rule.archiveId : entry.archive;
  if (isBusy(looked.action)) {
    return { skip: looked.action.action === 'ARCHIVE' && policy.action === 'archive' ? 'UNDER_WAY' : 'BUSY' };
  }
  const verdict: Verdict = policy.action === 'release' ? canRelease(state, entry.size) : canArchive(state, archive);
  if (verdict.verdict !== 'ask') return { skip: verdict.reason };
  if (options.served.size > 0 && !options.served.has(archive)) return { skip: 'UNSERVED' };
  return { chosen: { file: looked, rule, archive } };
}

/** The rule by which something is due, dead or alive. */
export function ruledBy(
  subject: PolicySubject,
  { policy, target, ignoreConditions, now }: JudgeOptions,
): { readonly rule: Rule } | { readonly skip: SkipReason } {
  if (target !== undefined) {
    const inside = truthOf(target, subject, now);
    if (inside !== true) return { skip: inside === false ? 'OUT_OF_TARGET' : 'UNKNOWN' };
  }
  const verdict = ruleFor(policy, subject, now);
  if (verdict.rule === undefined) {
    return { skip: { ignored: 'IGNORED', 'no-rule': 'NO_RULE', unknown: 'UNKNOWN' }[verdict.reason] as SkipReason };
  }
  if (ignoreConditions || verdict.due === true) return { rule: verdict.rule };
  return { skip: verdict.due === false ? 'NOT_DUE' : 'UNKNOWN' };
}

export function subjectOf({ fresh, paths, xattrs }: LookedFile): PolicySubject {
  return { ...fresh.entry, btime: fresh.born, paths, xattrs };
}
