import type { Expression } from '../expression/ast.ts';
import { wholeSeconds } from '../expression/evaluate.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { timeOf } from '../expression/subject-times.ts';
import { comparisonsOf } from '../expression/walk.ts';
import { type Policy, ruleFor, type Verdict } from './policies.ts';

/** What a policy says of a file now, and when it will be done if nothing else changes. */
export interface Outlook {
  readonly verdict: Verdict;
  /** Seconds since 1970, of now when it is due; undefined: waiting alone does not bring it about. */
  readonly at: number | undefined;
}

/**
 * The only thing that changes by waiting are ages: what is said of a file may change when one of them reaches what it is
 * compared with, and is looked at at each of these moments.
 */
export function outlookOf(policy: Policy, subject: PolicySubject, now: number): Outlook {
  const verdict = ruleFor(policy, subject, now);
  if (verdict.rule !== undefined && verdict.due === true) return { verdict, at: wholeSeconds(now) };
  const moments = [...changesIn([policy.candidates], subject)]
    .filter((at) => at > wholeSeconds(now))
    .sort((a, b) => a - b);
  const at = moments.find((moment) => {
    const then = ruleFor(policy, subject, moment * 1000);
    return then.rule !== undefined && then.due === true;
  });
  return { verdict, at };
}

function changesIn(expressions: readonly Expression[], subject: PolicySubject): Set<number> {
  const moments = new Set<number>();
  for (const comparison of expressions.flatMap((expression) => [...comparisonsOf(expression)])) {
    if (comparison.kind !== 'age') continue;
    const time = timeOf(subject, comparison.field);
    if (time == null) continue;
    moments.add(time + comparison.seconds).add(time + comparison.seconds + 1);
  }
  return moments;
}
