import type * as z from 'zod';
import { closest } from '../service/closest.ts';
import { holdsSecret } from '../service/redact.ts';
import { keyOf, keysAt } from './keys.ts';

/** What the schema found, in words: the path (for a misspelt key the key's own), and whether its key or value is meant. */
export interface Finding {
  readonly path: readonly string[];
  readonly at: 'key' | 'value';
  readonly message: string;
  /** The character of the value that it is about. */
  readonly offset?: number;
}

const INLINE_SECRET_KEYS =
  /^(sas|sas_token|key|account_key|access_key|connection_string|secret|client_secret|password|token)$/;

/** Turns what the schema found into messages for the operator, with the offending value and a suggestion. */
export function findingsOf(issues: readonly z.core.$ZodIssue[], tree: unknown): Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, tree));
}

function findingsOfIssue(issue: z.core.$ZodIssue, tree: unknown): Finding[] {
  const path = issue.path.map(String);
  const value = valueAt(tree, path);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
  if (issue.code === 'invalid_key') {
    return [{ path, at: 'key', message: issue.issues[0]?.message ?? 'is not a key that may stand here' }];
  }
  if (value === undefined && issue.code !== 'custom') return [{ path, at: 'value', message: required(path) }];
  const message = (text: string): Finding[] => [{ path, at: 'value', message: `${text}${offending(path, value)}` }];
  if (issue.code === 'invalid_union' && 'options' in issue) {
    return message(oneOf((issue.options ?? []).map(String), value));
  }
  if (issue.code === 'invalid_value') return message(oneOf(issue.values.map(String), value));
  if (issue.code === 'invalid_type') return message(`must be ${article(issue.expected)}`);
  if (issue.code === 'too_small' && issue.origin === 'string') return message('must not be empty');
  if (issue.code === 'too_big' && issue.origin === 'string') return message(`must not be longer than ${issue.maximum}`);
  const offset = issue.code === 'custom' ? issue.params?.['offset'] : undefined;
  // A condition is not repeated: its place says which part of it is meant.
  if (typeof offset === 'number') return [{ path, at: 'value', message: issue.message, offset }];
  return message(issue.message);
}

function required(path: readonly string[]): string {
  const variable = keyOf(path)?.env;
  return variable === undefined ? 'is required' : `is required: set it in the file, or as ${variable}`;
}

function unknownKey(path: readonly string[], key: string): Finding {
  const full = [...path, key];
  if (path[0] === 'archives' && INLINE_SECRET_KEYS.test(key)) {
    return {
      path: full,
      at: 'key',
      message:
        'secrets do not belong into the configuration file: put it into a file readable by root only (mode 0600) ' +
        "and write 'credential: {type: sas, file: /path/of/it}', or better use 'credential: {type: managed_identity}'",
    };
  }
  const allowed = keysAt(path);
  const suggestion = closest(key, allowed);
  const help = suggestion === undefined ? `allowed: ${allowed.join(', ')}` : `did you mean '${suggestion}'?`;
  return { path: full, at: 'key', message: `unknown key; ${help}` };
}

function oneOf(words: readonly string[], value: unknown): string {
  const suggestion = typeof value === 'string' ? closest(value, words) : undefined;
  return `must be one of ${words.join(', ')}${suggestion === undefined ? '' : ` (did you mean '${suggestion}'?)`}`;
}

function article(expected: string): string {
  if (expected === 'object' || expected === 'record') return 'a map of keys and values';
  if (expected === 'array') return 'a list';
  return expected === 'string' ? 'a text' : `a ${expected}`;
}

function offending(path: readonly string[], value: unknown): string {
  if (value === undefined) return '';
  const text = JSON.stringify(value) ?? String(value);
  const inCredential = path.includes('credential') && !path.includes('type');
  if (inCredential || holdsSecret(text) || typeof value === 'object') return '';
  return `, not ${text.length > 80 ? `${text.slice(0, 77)}…` : text}`;
}

/** The value at a path of plain data. */
function valueAt(tree: unknown, path: readonly string[]): unknown {
  let value = tree;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}
