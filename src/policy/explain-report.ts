import { pathFields, printable } from '../lustre/printable.ts';
import { formatDuration } from '../service/units.ts';
import { type Explanation, holdText, type PolicyExplanation } from './explain.ts';

/** What `policy explain --json` says of a file: docs/policies.md has the fields. */
export function explanationJson(explanation: Explanation, now: number) {
  const { named, fid, subject, state, classes, unsure, policies } = explanation;
  return {
    ...pathFields(named),
    fid,
    type: subject.type,
    size: subject.size == null ? null : String(subject.size),
    state: state ?? null,
    classes,
    classes_unknown: unsure,
    policies: policies.map((one) => ({
      policy: one.policy.name,
      action: one.policy.action,
      rule: one.rule ?? null,
      reason: one.reason ?? null,
      due: dueOf(one, now),
      due_at: one.dueAt === undefined ? null : new Date(one.dueAt * 1000).toISOString(),
      holds: one.holds,
    })),
  };
}

/** `never`: not by waiting. */
function dueOf({ dueAt }: PolicyExplanation, now: number): 'now' | 'later' | 'never' {
  if (dueAt === undefined) return 'never';
  return dueAt * 1000 <= now ? 'now' : 'later';
}

/** A line about the file, and rows for a table of the policies. */
export function explanationText(explanation: Explanation, now: number): { head: string; rows: string[][] } {
  const { named, fid, subject, state, classes, unsure } = explanation;
  const of = [...classes, ...unsure.map((name) => `${name}?`)].join(', ');
  const head = [printable(named), fid, subject.type, state, of === '' ? 'in no class' : `in ${of}`]
    .filter((part) => part !== undefined)
    .join(' · ');
  const rows = explanation.policies.map((one) => [one.policy.name, one.rule ?? '-', whenText(one, now), whyText(one)]);
  return { head, rows };
}

function whenText(one: PolicyExplanation, now: number): string {
  const due = dueOf(one, now);
  if (due !== 'later') return due === 'now' && one.holds.length > 0 ? 'now, but held' : due;
  const at = one.dueAt ?? 0;
  return `in ${formatDuration(Math.max(0, at * 1000 - Math.floor(now / 1000) * 1000))}`;
}

const REASON_TEXTS = {
  ignored: 'is ignored',
  'no-rule': 'no rule is for it',
  unknown: 'can’t be told: something that its conditions look at is not known',
} as const;

function whyText(one: PolicyExplanation): string {
  const reasons = one.holds.map(holdText);
  if (one.reason !== undefined) reasons.unshift(REASON_TEXTS[one.reason]);
  if (reasons.length > 0) return reasons.join('; ');
  const trigger = one.policy.triggers.find(({ on }) => on === 'ost_usage');
  return trigger?.on === 'ost_usage' ? `when an OST of its is used by ${trigger.high} % or more` : '';
}
