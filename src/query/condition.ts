import { lookUpOwners } from '../classes/owners.ts';
import type { Config } from '../config/types.ts';
import { type AgeField, allOf, anyOf, type Comparison, type Expression, type Operator } from '../expression/ast.ts';
import { ExpressionError } from '../expression/error.ts';
import { GlobError, parseGlob } from '../expression/glob.ts';
import { parseExpression } from '../expression/parser.ts';
import { resolve, UnknownClassError } from '../expression/resolve.ts';
import type { FileType } from '../lustre/attributes.ts';
import { loadPolicies } from '../policy/policies.ts';
import { OperatorError } from '../service/errors.ts';
import { parseBytes, parseDuration } from '../service/units.ts';

/** What `find` and `report` choose by: a condition, and flags that `lfs find` has; all must hold. */
export interface Choice {
  readonly where?: string | undefined;
  readonly name?: readonly string[] | undefined;
  readonly type?: readonly string[] | undefined;
  readonly size?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly project?: string | undefined;
  readonly mtime?: readonly string[] | undefined;
  readonly atime?: readonly string[] | undefined;
  readonly ctime?: readonly string[] | undefined;
  readonly pool?: string | undefined;
  readonly ost?: readonly string[] | undefined;
  readonly class?: readonly string[] | undefined;
  readonly state?: readonly string[] | undefined;
}

/**
 * The condition that a choice stands for, with classes, users and the mount put in.
 * @throws OperatorError (exit `usage`) for what does not read
 */
export async function conditionOf(
  choice: Choice,
  config: Pick<Config, 'classes' | 'policies' | 'mount'>,
): Promise<Expression> {
  const terms = [...flagTerms(choice), ...(choice.where === undefined ? [] : [parsed(choice.where)])];
  const all = allOf(...terms);
  const { classes } = await loadPolicies(config);
  const names = { mount: config.mount, classes: new Map(classes.map(({ name, expression }) => [name, expression])) };
  try {
    return resolve(all, { ...names, ...(await lookUpOwners([all])) });
  } catch (error) {
    if (!(error instanceof UnknownClassError)) throw error;
    throw usage(error.message, 'Classes are defined under `classes` in the configuration.');
  }
}

function parsed(text: string): Expression {
  try {
    return parseExpression(text);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw usage(`The condition does not read: ${error.message}`, 'docs/policies.md has the language.');
  }
}

function* flagTerms(choice: Choice): Generator<Expression> {
  if (choice.name !== undefined) yield anyOf(...choice.name.map((text) => globOf('name', text)));
  if (choice.type !== undefined) yield anyOf(...choice.type.map(typeTerm));
  for (const text of choice.size ?? []) yield sizeTerm(text);
  if (choice.user !== undefined) yield ownerTerm('owner', choice.user);
  if (choice.group !== undefined) yield ownerTerm('group', choice.group);
  if (choice.project !== undefined) yield numberTerm('project', '==', whole('--project', choice.project));
  for (const text of choice.mtime ?? []) yield ageTerm('last_mod', '--mtime', text);
  for (const text of choice.atime ?? []) yield ageTerm('last_access', '--atime', text);
  for (const text of choice.ctime ?? []) yield ageTerm('last_change', '--ctime', text);
  if (choice.pool !== undefined) yield globOf('pool', choice.pool);
  if (choice.ost !== undefined) {
    yield anyOf(
      ...choice.ost.map((text) => ({ ...NOWHERE, kind: 'ost', equal: true, index: whole('--ost', text) }) as const),
    );
  }
  if (choice.class !== undefined) {
    yield anyOf(
      ...choice.class.map((text) => ({ ...NOWHERE, kind: 'class', equal: true, glob: parseGlob(text) }) as const),
    );
  }
  for (const text of choice.state ?? []) yield stateTerm(text);
}

const NOWHERE = { start: 0, end: 0 } as const;

function globOf(field: 'name' | 'pool', text: string): Comparison {
  try {
    return { ...NOWHERE, kind: 'glob', field, equal: true, glob: parseGlob(text) };
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    throw usage(`--${field} ${text}: ${error.message}`);
  }
}

const TYPES: Readonly<Record<string, FileType>> = {
  ...{ f: 'file', d: 'dir', l: 'symlink', p: 'fifo', c: 'chr', b: 'blk', s: 'sock' },
  ...{ file: 'file', dir: 'dir', symlink: 'symlink', fifo: 'fifo', chr: 'chr', blk: 'blk', sock: 'sock' },
};

function typeTerm(text: string): Comparison {
  const type = TYPES[text];
  if (type !== undefined) return { ...NOWHERE, kind: 'type', equal: true, type };
  throw usage(`--type ${text}: there is no such type`, `Types are ${Object.keys(TYPES).join(', ')}.`);
}

/** `+1G` larger, `-1G` smaller, `1G` exactly. */
function sizeTerm(text: string): Comparison {
  const { operator, rest } = signed(text);
  try {
    return numberTerm('size', operator, parseBytes(rest));
  } catch (error) {
    throw usage(`--size ${text}: ${(error as Error).message}`);
  }
}

/** `+30d` longer ago, `-30d` less long ago; without a unit, days. */
function ageTerm(field: AgeField, flag: string, text: string): Comparison {
  const { operator, rest } = signed(text);
  try {
    const milliseconds = parseDuration(/^\d+$/.test(rest) ? `${rest}d` : rest);
    return { ...NOWHERE, kind: 'age', field, operator, seconds: Math.floor(milliseconds / 1000) };
  } catch (error) {
    throw usage(`${flag} ${text}: ${(error as Error).message}`);
  }
}

function signed(text: string): { operator: Operator; rest: string } {
  const operator = text.startsWith('+') ? '>' : text.startsWith('-') ? '<' : '==';
  return { operator, rest: operator === '==' ? text : text.slice(1) };
}

function ownerTerm(field: 'owner' | 'group', name: string): Comparison {
  const id = /^\d+$/.test(name) ? Number(name) : undefined;
  return { ...NOWHERE, kind: 'owner', field, operator: '==', name, id };
}

function numberTerm(field: 'size' | 'project', operator: Operator, value: number): Comparison {
  return { ...NOWHERE, kind: 'number', field, operator, value };
}

const STATES = ['exists', 'archived', 'dirty', 'released', 'lost', 'noarchive', 'norelease'] as const;

/** A flag, or with `!` before it that it is not set. */
function stateTerm(text: string): Comparison {
  const flag = STATES.find((state) => state === text.replace(/^!/, ''));
  if (flag !== undefined) return { ...NOWHERE, kind: 'hsm', equal: !text.startsWith('!'), flag };
  throw usage(
    `--state ${text}: there is no such state`,
    `States are ${STATES.join(', ')}; '!' before one means without it.`,
  );
}

function whole(flag: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw usage(`${flag} ${text}: not a whole number`);
}

function usage(message: string, hint?: string): OperatorError {
  return new OperatorError(message, { code: 'USAGE', exit: 'usage', ...(hint === undefined ? {} : { hint }) });
}
