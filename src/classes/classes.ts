import type { ClassConfig, Config } from '../config/types.ts';
import type { Expression } from '../expression/ast.ts';
import { resolveClasses } from '../expression/classes.ts';
import { truthOf } from '../expression/evaluate.ts';
import { parseExpression } from '../expression/parser.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { type Accounts, lookUpOwners } from './owners.ts';

export interface PolicyClass {
  readonly name: string;
  /** With everything put in that it names. */
  readonly expression: Expression;
  readonly accessTier: 'Hot' | 'Cool' | 'Cold' | undefined;
}

/**
 * The classes as configured, in their order.
 * @param accounts looks up names of users and groups (by default in the system's databases)
 * @throws OperatorError for a user or group that nobody knows
 */
export async function loadClasses(
  config: Pick<Config, 'classes' | 'mount'>,
  accounts?: Accounts,
): Promise<PolicyClass[]> {
  const definitions = definitionsOf(config);
  const names = { mount: config.mount, ...(await lookUpOwners([...definitions.values()], accounts)) };
  return classesFrom(config, resolveClasses(definitions, names));
}

export const definitionsOf = ({ classes }: Pick<Config, 'classes'>): Map<string, Expression> =>
  new Map([...classes].map(([name, { definition }]) => [name, parseExpression(definition)]));

export const classesFrom = (
  { classes }: { readonly classes: ReadonlyMap<string, ClassConfig> },
  resolved: ReadonlyMap<string, Expression>,
): PolicyClass[] =>
  [...classes].map(([name, { accessTier }]) => ({ name, expression: resolved.get(name) as Expression, accessTier }));

/** The classes that a file is in, in their order; `unsure` are those of which it is not known. */
export function classesOf(
  classes: readonly PolicyClass[],
  subject: PolicySubject,
  now: number,
): { readonly sure: readonly PolicyClass[]; readonly unsure: readonly PolicyClass[] } {
  const truths = classes.map((one) => [one, truthOf(one.expression, subject, now)] as const);
  return {
    sure: truths.filter(([, truth]) => truth === true).map(([one]) => one),
    unsure: truths.filter(([, truth]) => truth === undefined).map(([one]) => one),
  };
}
