import { formatExpression } from '../expression/format.ts';
import { formatBytes, formatDuration } from '../service/units.ts';
import type { Policies, Policy, RunLimits, Trigger } from './policies.ts';

/** What `policy list --json` says: conditions with everything put in that they name. */
export function policiesJson({ classes, policies }: Policies) {
  return {
    classes: classes.map(({ name, expression, accessTier }) => ({
      name,
      definition: formatExpression(expression),
      access_tier: accessTier ?? null,
    })),
    policies: [...policies.values()].map((policy) => ({
      policy: policy.name,
      action: policy.action,
      enabled: policy.enabled,
      ignore: policy.ignore.kind === 'constant' ? null : formatExpression(policy.ignore),
      rules: policy.rules.map(({ name, classes: targets, condition, archiveId, limits }) => ({
        rule: name,
        target_class: targets,
        condition: condition.kind === 'constant' ? null : formatExpression(condition),
        archive_id: archiveId,
        max_files: limits.files ?? null,
        max_bytes: limits.bytes ?? null,
      })),
      triggers: policy.triggers.map(triggerJson),
      sort: policy.sort.by,
      order: policy.sort.ascending ? 'ascending' : 'descending',
    })),
  };
}

function triggerJson(trigger: Trigger) {
  if (trigger.on === 'manual') return { on: trigger.on };
  const { on, intervalMs } = trigger;
  return trigger.on === 'periodic'
    ? { on, interval_ms: intervalMs }
    : { on, interval_ms: intervalMs, high: trigger.high, low: trigger.low };
}

/** One line a rule: policy, trigger, rule, classes, condition, limits. */
export function policyRows({ policies }: Policies): string[][] {
  return [...policies.values()].flatMap((policy) => {
    const first = [policy.name, policy.enabled ? policy.triggers.map(triggerText).join(', ') : 'not enabled'];
    const rows = policy.rules.map((rule) => [
      rule.name,
      rule.classes.length === 0 ? 'all other files' : rule.classes.join(', '),
      rule.condition.kind === 'constant' ? 'always' : formatExpression(rule.condition),
      limitsText(rule.limits),
    ]);
    return (rows.length === 0 ? [['-', '', '', '']] : rows).map((row, index) => [
      ...(index === 0 ? first : ['', '']),
      ...row,
    ]);
  });
}

function triggerText(trigger: Trigger): string {
  if (trigger.on === 'manual') return 'by hand';
  return trigger.on === 'periodic'
    ? `every ${formatDuration(trigger.intervalMs)}`
    : `OST at ${trigger.high} %, down to ${trigger.low} %`;
}

function limitsText({ files, bytes }: RunLimits): string {
  return [files === undefined ? '' : `${files} files`, bytes === undefined ? '' : formatBytes(bytes)]
    .filter((part) => part !== '')
    .join(', ');
}

/** Lines about what no file falls under by a rule. */
export function ignoreLines({ policies }: Policies): string[] {
  return [...policies.values()]
    .filter((policy: Policy) => policy.ignore.kind !== 'constant')
    .map((policy) => `${policy.name} ignores: ${formatExpression(policy.ignore)}`);
}
