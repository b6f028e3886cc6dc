import type { Expression } from '../expression/ast.ts';
import { ClassCycleError, ClassTooLargeError, classesIn, resolveClasses } from '../expression/classes.ts';
import { parseExpression } from '../expression/parser.ts';
import { resolve, UnknownClassError } from '../expression/resolve.ts';
import { comparisonsOf } from '../expression/walk.ts';
import { closest } from '../service/closest.ts';
import type { RawClasses, RawPolicies, RawPolicy } from './policy-schema.ts';

type Path = (string | number)[];

/** Something wrong between the parts: each by itself is right. */
interface PolicyIssue {
  readonly path: Path;
  readonly message: string;
  readonly params?: { readonly offset: number };
}

/** What nobody knows of a file that is gone (its tombstone has the rest). */
const UNKNOWN_OF_DEAD = new Set([
  'last_access',
  'last_change',
  'creation',
  'nlink',
  'project',
  'ost',
  'pool',
  'hsm',
  'xattr',
]);

/** Classes that don't exist or go round in circles, rules that nothing reaches, fields that mean nothing where they stand. */
export function policyIssues(classes: RawClasses, policies: RawPolicies): PolicyIssue[] {
  const definitions = new Map(
    Object.entries(classes).map(([name, { definition }]) => [name, parseExpression(definition)]),
  );
  const unknown = [...definitions].flatMap(([name, definition]) =>
    unknownClasses(['classes', name, 'definition'], () => classesIn(definition, definitions), definitions),
  );
  if (unknown.length > 0) return unknown;
  let resolved: Map<string, Expression>;
  try {
    resolved = resolveClasses(definitions);
  } catch (error) {
    if (!(error instanceof ClassCycleError || error instanceof ClassTooLargeError)) throw error;
    return [{ path: ['classes', error.className, 'definition'], message: error.message }];
  }
  return Object.entries(policies).flatMap(([name, policy]) => issuesOfPolicy(name, policy, resolved));
}

/** What `work` says of a class that nobody has defined. */
function unknownClasses(path: Path, work: () => unknown, known: ReadonlyMap<string, unknown>): PolicyIssue[] {
  try {
    work();
    return [];
  } catch (error) {
    if (!(error instanceof UnknownClassError)) throw error;
    const message = unknownClass(error.className, [...known.keys()]);
    return [{ path, message, params: { offset: error.offset } }];
  }
}

function issuesOfPolicy(name: string, policy: RawPolicy, classes: ReadonlyMap<string, Expression>): PolicyIssue[] {
  const at = (...path: Path): Path => ['policies', name, ...path];
  const condition = (text: string, path: Path): PolicyIssue[] => {
    const parsed = parseExpression(text);
    const unknown = unknownClasses(path, () => classesIn(parsed, classes), classes);
    return unknown.length > 0 ? unknown : issuesOfCondition(resolve(parsed, { classes }), policy.action, path);
  };
  const named = (targets: readonly string[], path: Path): PolicyIssue[] =>
    targets.flatMap((target) => {
      const definition = classes.get(target);
      if (definition === undefined) return [{ path, message: unknownClass(target, [...classes.keys()]) }];
      const [issue] = issuesOfCondition(definition, policy.action, path);
      return issue === undefined ? [] : [{ path, message: `class ${target}: ${issue.message}` }];
    });
  return [
    ...policy.ignore.flatMap((text, index) => condition(text, at('ignore', index))),
    ...named(policy.ignore_class, at('ignore_class')),
    ...Object.entries(policy.rules).flatMap(([ruleName, rule]) => [
      ...named(rule.target_class, at('rules', ruleName, 'target_class')),
      ...(rule.condition === undefined ? [] : condition(rule.condition, at('rules', ruleName, 'condition'))),
    ]),
    ...unreachedRules(policy).map(({ rule, message }) => ({ path: at('rules', rule), message })),
    ...misplacedSettings(policy).map(({ path, message }) => ({ path: at(...path), message })),
  ];
}

function unreachedRules({ rules }: RawPolicy): { rule: string; message: string }[] {
  const names = Object.keys(rules);
  const forAll = names.findIndex((name) => rules[name]?.target_class.length === 0);
  if (forAll === -1) return [];
  return names.slice(forAll + 1).map((rule) => ({
    rule,
    message: `is never reached: the rule ${names[forAll]} before it is for all files`,
  }));
}

function misplacedSettings({ action, triggers, sort }: RawPolicy): { path: Path; message: string }[] {
  const found: { path: Path; message: string }[] = [];
  for (const [index, trigger] of triggers.entries()) {
    if (trigger.on === 'ost_usage' && action !== 'release')
      found.push({ path: ['triggers', index, 'on'], message: 'ost_usage is for policies that release' });
  }
  if (sort === 'rm_time' && action !== 'remove')
    found.push({ path: ['sort'], message: 'rm_time is for policies that remove' });
  return found;
}

/** Fields that mean nothing to the action: the first of them. */
function issuesOfCondition(condition: Expression, action: RawPolicy['action'], path: Path): PolicyIssue[] {
  for (const comparison of comparisonsOf(condition)) {
    const field = 'field' in comparison ? comparison.field : comparison.kind;
    const params = { offset: comparison.start };
    if (action === 'remove' && UNKNOWN_OF_DEAD.has(field))
      return [{ path, message: `${field} is not known of a file that is gone`, params }];
    if (action !== 'remove' && field === 'rm_time')
      return [{ path, message: 'rm_time is for policies that remove', params }];
  }
  return [];
}

function unknownClass(name: string, known: readonly string[]): string {
  const near = closest(name, known);
  return `there is no class '${name}'${near === undefined ? `; there are ${known.join(', ')}` : `; did you mean '${near}'?`}`;
}
