import type { PolicyClass } from '../../classes/classes.ts';
import { type Accounts, lookUpOwners } from '../../classes/owners.ts';
import { ALWAYS, type Expression } from '../../expression/ast.ts';
import { ExpressionError } from '../../expression/error.ts';
import { parseExpression } from '../../expression/parser.ts';
import { resolve, UnknownClassError } from '../../expression/resolve.ts';
import { OperatorError } from '../../service/errors.ts';

/** What `--target` takes, and the condition that it means. */
const KINDS: Readonly<Record<string, (value: string) => string>> = {
  path: (value) => `tree == ${quoted(value)} or path == ${quoted(value)}`,
  user: (value) => `owner == ${quoted(value)}`,
  group: (value) => `group == ${quoted(value)}`,
  project: (value) => `project == ${quoted(value)}`,
  ost: (value) => `ost == ${quoted(value)}`,
  pool: (value) => `pool == ${quoted(value)}`,
  class: (value) => `class == ${quoted(value)}`,
};

/** Which files a run is about. */
export interface RunTarget {
  /** As it was given. */
  readonly text: string;
  readonly expression: Expression;
  /** With `ost:N`. */
  readonly ost?: number;
}

/**
 * Reads `path:/mnt/lustre/dir`, `user:alice`, `ost:3`, `class:big_files`, … or `all`.
 * @throws OperatorError that says what may stand there
 */
export async function parseTarget(
  text: string,
  known: { readonly mount: string; readonly classes: readonly PolicyClass[]; readonly accounts?: Accounts },
): Promise<RunTarget> {
  if (text === 'all') return { text, expression: ALWAYS };
  const [, kind = '', value = ''] = /^(\w+):(.+)$/s.exec(text) ?? [];
  const write = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (write === undefined) throw notOne(text);
  try {
    const parsed = parseExpression(write(value));
    const classes = new Map(known.classes.map(({ name, expression }) => [name, expression]));
    const owners = await lookUpOwners([parsed], known.accounts);
    const expression = resolve(parsed, { mount: known.mount, classes, ...owners });
    return { text, expression, ...(kind === 'ost' ? { ost: Number(value) } : {}) };
  } catch (error) {
    if (error instanceof UnknownClassError) throw usage(`${error.message} (--target ${text})`);
    if (error instanceof ExpressionError) throw usage(`--target ${text}: '${value}' is no ${kind}`);
    throw error;
  }
}

/** Literally, whatever is in it. */
const quoted = (value: string): string => `"${value.replace(/[\\"'*?[\]]/g, '\\$&')}"`;

function notOne(text: string): OperatorError {
  return usage(`'${text}' is not a target`);
}

function usage(message: string): OperatorError {
  const kinds = Object.keys(KINDS).map((kind) => `${kind}:…`);
  return new OperatorError(message, {
    code: 'TARGET_INVALID',
    hint: `A target is one of ${kinds.join(', ')}, all. Paths are absolute, such as path:/mnt/lustre/projects.`,
    exit: 'usage',
  });
}
