import { classesFrom, definitionsOf, type PolicyClass } from '../classes/classes.ts';
import { type Accounts, lookUpOwners } from '../classes/owners.ts';
import type { Config, PolicyConfig } from '../config/types.ts';
import { ALWAYS, allOf, anyOf, type Expression, NEVER, notOf } from '../expression/ast.ts';
import { resolveClasses } from '../expression/classes.ts';
import { type Truth, truthOf } from '../expression/evaluate.ts';
import { parseExpression } from '../expression/parser.ts';
import { type Names, resolve } from '../expression/resolve.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { type Needs, needsOf } from '../expression/walk.ts';

export type PolicyAction = 'archive' | 'release' | 'remove';

/** A limit; undefined: none. Bytes, milliseconds. */
export interface RunLimits {
  readonly files: number | undefined;
  readonly bytes: number | undefined;
}

export type Trigger =
  | { readonly on: 'periodic'; readonly intervalMs: number }
  | {
      readonly on: 'ost_usage';
      readonly intervalMs: number;
      /** Percent of an OST in use: from `high` on files are released, until it is at `low`. */
      readonly high: number;
      readonly low: number;
    }
  | { readonly on: 'manual' };

export interface Rule {
  readonly name: string;
  readonly classes: readonly string[];
  /** Which files it is for. */
  readonly target: Expression;
  /** When it is done with them. */
  readonly condition: Expression;
  readonly archiveId: number;
  /** Of one run. */
  readonly limits: RunLimits;
}

/** A policy as a run needs it: conditions parsed, with classes, users and the mount point put in. */
export interface Policy {
  readonly name: string;
  readonly action: PolicyAction;
  readonly enabled: boolean;
  /** Files that are left alone. */
  readonly ignore: Expression;
  readonly rules: readonly Rule[];
  /** What a file must meet for a rule to say that it is done now: ignore, targets and conditions in one. */
  readonly candidates: Expression;
  /** What conditions look at besides a file's attributes. */
  readonly needs: Needs;
  readonly triggers: readonly Trigger[];
  readonly sort: {
    readonly by: 'last_mod' | 'last_access' | 'last_change' | 'rm_time' | 'size' | 'none';
    /** Smallest, or longest ago, first. */
    readonly ascending: boolean;
  };
  readonly rate: RunLimits & { readonly periodMs: number };
  readonly maxOutstanding: number | undefined;
  readonly limits: RunLimits & { readonly durationMs: number | undefined };
  /** A run is ended when there are so many errors and they are such a share (percent) of what was done. */
  readonly suspend: { readonly errors: number; readonly share: number };
  readonly backoff: { readonly firstMs: number; readonly longestMs: number; readonly quarantineAfter: number };
}

export interface Policies {
  readonly classes: readonly PolicyClass[];
  readonly policies: ReadonlyMap<string, Policy>;
}

/**
 * Classes and policies as configured; with nothing configured, those of docs/policies.md.
 * @param accounts looks up names of users and groups (by default in the system's databases)
 * @throws OperatorError for a user or group that nobody knows
 */
export async function loadPolicies(
  config: Pick<Config, 'classes' | 'policies' | 'mount'>,
  accounts?: Accounts,
): Promise<Policies> {
  const definitions = definitionsOf(config);
  const conditions = [...config.policies.values()].flatMap((policy) => [
    ...policy.ignore,
    ...[...policy.rules.values()].flatMap(({ condition }) => condition ?? []),
  ]);
  const expressions = [...definitions.values(), ...conditions.map(parseExpression)];
  const names = { mount: config.mount, ...(await lookUpOwners(expressions, accounts)) };
  const resolved = resolveClasses(definitions, names);
  return {
    classes: classesFrom(config, resolved),
    policies: new Map(
      [...config.policies].map(([name, given]) => [name, policyOf(name, given, { ...names, classes: resolved })]),
    ),
  };
}

function policyOf(name: string, given: PolicyConfig, names: Names): Policy {
  const conditionOf = (text: string) => resolve(parseExpression(text), names);
  const classOf = (className: string) => names.classes.get(className) as Expression;
  const ignore = anyOf(...given.ignoreClass.map(classOf), ...given.ignore.map(conditionOf));
  const rules = [...given.rules].map(
    ([ruleName, rule]): Rule => ({
      name: ruleName,
      classes: rule.targetClass,
      target: rule.targetClass.length === 0 ? ALWAYS : anyOf(...rule.targetClass.map(classOf)),
      condition: rule.condition === undefined ? ALWAYS : conditionOf(rule.condition),
      archiveId: rule.archiveId ?? given.archiveId,
      limits: { files: limit(rule.maxFiles), bytes: limit(rule.maxBytes) },
    }),
  );
  return {
    name,
    action: given.action,
    enabled: given.enabled,
    ignore,
    rules,
    candidates: allOf(notOf(ignore), ruled(rules)),
    needs: needsOf(ignore, ...rules.flatMap(({ target, condition }) => [target, condition])),
    triggers: given.triggers.map(triggerOf),
    sort: { by: given.sort, ascending: given.order === 'ascending' },
    rate: {
      files: limit(given.rateLimit.files),
      bytes: limit(given.rateLimit.bytes),
      periodMs: given.rateLimit.period,
    },
    maxOutstanding: limit(given.maxOutstanding),
    limits: { files: limit(given.maxFiles), bytes: limit(given.maxBytes), durationMs: limit(given.maxDuration) },
    suspend: given.suspend,
    backoff: {
      firstMs: given.backoff.first,
      longestMs: given.backoff.longest,
      quarantineAfter: given.backoff.quarantineAfter,
    },
  };
}

const limit = (value: number | 'unlimited'): number | undefined => (value === 'unlimited' ? undefined : value);

function triggerOf({ on, interval, high, low }: PolicyConfig['triggers'][number]): Trigger {
  if (on === 'manual') return { on };
  return on === 'periodic'
    ? { on, intervalMs: interval }
    : { on, intervalMs: interval, high: high as number, low: low as number };
}

/** The first rule whose target a file meets decides; where rules in a row have one condition, it is written once. */
function ruled(rules: readonly Rule[]): Expression {
  return rules.reduceRight((rest, { target, condition }) => {
    if (sameExpression(condition, rest)) return rest;
    return anyOf(allOf(target, condition), allOf(notOf(target), rest));
  }, NEVER);
}

const sameExpression = (a: Expression, b: Expression) => meaning(a) === meaning(b);

/** An expression without the places where it was written. */
const meaning = (expression: Expression): string =>
  JSON.stringify(expression, (key, value) => (key === 'start' || key === 'end' ? undefined : value));

/** What a policy says of a file. */
export type Verdict =
  /** `due`: whether its condition holds now; undefined: something it depends on is unknown. */
  | { readonly rule: Rule; readonly due: Truth }
  | { readonly rule: undefined; readonly reason: 'ignored' | 'no-rule' | 'unknown' };

/**
 * The rule that a file falls under. What is unknown is never decided in favour of acting: a file that may be ignored is,
 * and one that may be in an earlier rule's class waits until that is known.
 * @param now milliseconds since 1970
 */
export function ruleFor(policy: Policy, subject: PolicySubject, now: number): Verdict {
  const ignored = truthOf(policy.ignore, subject, now);
  if (ignored !== false) return { rule: undefined, reason: ignored === true ? 'ignored' : 'unknown' };
  for (const rule of policy.rules) {
    const aimedAt = truthOf(rule.target, subject, now);
    if (aimedAt === undefined) return { rule: undefined, reason: 'unknown' };
    if (aimedAt) return { rule, due: truthOf(rule.condition, subject, now) };
  }
  return { rule: undefined, reason: 'no-rule' };
}
