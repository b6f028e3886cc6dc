import { globMatches, parseGlob } from '../../expression/glob.ts';
import { parseBytes, parseDuration } from '../../service/units.ts';
import { inTable } from './names.ts';
import type { RhCondition } from './parser.ts';

/** What conditions depend on besides themselves. */
export interface ConditionContext {
  /** `General::fs_path`, without a slash at the end. */
  readonly root: string;
  /** The name of ours for a class of Robinhood's, whose names have no case; undefined: there is none. */
  readonly classNamed: (name: string) => string | undefined;
}

/** A condition, or a part of one, that we have nothing for. */
export class NoEquivalent extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/** Never: for paths outside the file system. */
const NEVER = 'size < 0';

type Compare = Extract<RhCondition, { kind: 'compare' }>;

/** Robinhood's condition in our language. @throws NoEquivalent */
export function conditionText(condition: RhCondition, context: ConditionContext): string {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return flat(condition, condition.kind)
        .map((term) => inParentheses(term, context))
        .join(` ${condition.kind} `);
    case 'not':
      return `not ${inParentheses(condition.term, context)}`;
    case 'class':
      return classText('==', condition.name, condition.line, context);
    case 'compare':
      return comparisonText(condition, context);
  }
}

/** The terms of `a and (b and c)`: the same as `a and b and c`. */
function flat(condition: RhCondition, kind: 'and' | 'or'): RhCondition[] {
  return condition.kind === kind ? [...flat(condition.left, kind), ...flat(condition.right, kind)] : [condition];
}

function inParentheses(condition: RhCondition, context: ConditionContext): string {
  const text = conditionText(condition, context);
  const compound = condition.kind === 'and' || condition.kind === 'or' || / (and|or) /.test(text);
  return compound ? `(${text})` : text;
}

const DURATIONS: Readonly<Record<string, string>> = {
  last_access: 'last_access',
  last_mod: 'last_mod',
  last_mdchange: 'last_change',
  creation: 'creation',
  rm_time: 'rm_time',
};
const COUNTS: Readonly<Record<string, string>> = {
  nlink: 'nlink',
  depth: 'depth',
  projid: 'project',
  archive_id: 'archive_id',
};
const TYPES = new Set(['file', 'directory', 'symlink', 'chr', 'blk', 'fifo', 'sock']);

/** Status of Lustre/HSM as flags. */
const STATUSES: Readonly<Record<string, string>> = {
  new: 'not archived and not released',
  modified: 'archived and dirty and not released',
  synchro: 'archived and not dirty and not released',
  released: 'released',
};

function comparisonText(comparison: Compare, context: ConditionContext): string {
  const field = comparison.field.toLowerCase();
  const operator = comparison.operator === '<>' ? '!=' : comparison.operator;
  const { value, line } = comparison;
  const fail = (why: string): never => {
    throw new NoEquivalent(`${comparison.field} ${operator} ${value}: ${why}`, line);
  };
  const duration = inTable(DURATIONS, field);
  if (duration !== undefined) return `${duration} ${operator} ${durationText(value, fail)}`;
  const count = inTable(COUNTS, field);
  if (count !== undefined) return `${count} ${operator} ${/^\d+$/.test(value) ? value : fail('not a number')}`;
  if (field.startsWith('xattr.')) return `xattr.${comparison.field.slice(6)} ${operator} ${pattern(value)}`;
  switch (field) {
    case 'type':
      return `type ${operator} ${TYPES.has(value.toLowerCase()) ? value.toLowerCase() : fail('no such type')}`;
    case 'size':
      return `size ${operator} ${sizeText(value, fail)}`;
    case 'name':
    case 'iname':
      return `${field} ${operator} ${pattern(value)}`;
    case 'path':
    case 'tree':
      return pathText(field, operator, value, context.root);
    case 'owner':
    case 'group':
      return `${field} ${operator} ${/[*?[\]\\"\s]/.test(value) ? fail('names of owners and groups have no wildcards here') : value}`;
    case 'ost_pool':
      return `pool ${operator} ${pattern(value)}`;
    case 'ost_index':
      return `ost ${operator} ${/^\d+$/.test(value) ? value : fail('not a number')}`;
    case 'fileclass':
      return classText(operator, value, line, context);
    case 'status':
      return statusText(operator, value, fail);
    case 'no_archive':
    case 'no_release':
      return flagText(field === 'no_archive' ? 'noarchive' : 'norelease', operator, value, fail);
    default:
      return fail(
        field === 'last_archive' || field === 'last_restore' || field === 'dircount' ? 'this is not kept' : 'not known',
      );
  }
}

function classText(operator: string, name: string, line: number, context: ConditionContext): string {
  if (/[*?[]/.test(name)) return `class ${operator} ${pattern(name)}`;
  const known = context.classNamed(name);
  if (known === undefined) throw new NoEquivalent(`there is no FileClass ${name}`, line);
  return `class ${operator} ${known}`;
}

function statusText(operator: string, value: string, fail: (why: string) => never): string {
  const flags = inTable(STATUSES, value.toLowerCase()) ?? fail('no such state is kept');
  return operator === '!=' ? `not (${flags})` : flags;
}

function flagText(flag: string, operator: string, value: string, fail: (why: string) => never): string {
  const yes = /^(1|true|yes|on|enabled)$/i.test(value);
  if (!yes && !/^(0|false|no|off|disabled)$/i.test(value)) return fail('neither yes nor no');
  return yes === (operator === '==') ? flag : `not ${flag}`;
}

/** As it was written where it means the same here; a bare number is seconds. */
function durationText(value: string, fail: (why: string) => never): string {
  const match = /^(\d+)\s*([a-z]*)$/i.exec(value.trim()) ?? fail('not a duration');
  const text = `${match[1]}${match[2]?.toLowerCase() || 's'}`;
  try {
    parseDuration(text);
    return text;
  } catch {
    return fail('not a duration');
  }
}

/** Robinhood's units are powers of 1,024 as well. */
function sizeText(value: string, fail: (why: string) => never): string {
  const match = /^(\d+)\s*([kmgtp]?b?)$/i.exec(value.trim()) ?? fail('not a size that can be told here');
  const text = `${match[1]}${match[2]}`;
  try {
    parseBytes(text);
    return text;
  } catch {
    return fail('not a size that can be told here');
  }
}

/** A pattern of fnmatch as one of ours: there a backslash takes the meaning from any character. */
const pattern = (value: string): string => quoted(value.replace(/\\(.)/gs, (_, next: string) => literal(next)));

const literal = (character: string): string => (/[*?[\]\\]/.test(character) ? `\\${character}` : character);

const quoted = (text: string): string => `"${text.replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

/**
 * Robinhood's paths begin with the mount point (relative ones are below it), ours at the root of the file system: what
 * matches the mount point is taken off, level by level.
 */
function pathText(field: string, operator: string, value: string, root: string): string {
  const path = value.length > 1 ? value.replace(/\/+$/, '') : value;
  const never = operator === '!=' ? 'size >= 0' : NEVER;
  const write = (below: string) => `${field} ${operator} ${pattern(below === '' ? '/' : below)}`;
  if (!path.startsWith('/')) return write(path.startsWith('**') ? path : `/${path}`);
  const levels = path === '/' ? [] : path.split('/').slice(1);
  const above = root.split('/').slice(1);
  for (const [index, name] of above.entries()) {
    const level = levels[index];
    if (level === '**') return write(levels.slice(index).join('/'));
    // Its pattern ends above the mount point: all of the file system is below it.
    if (level === undefined) return field === 'tree' ? write('/') : never;
    if (!globMatches(parseGlob(level), Buffer.from(name), true)) return never;
  }
  const below = levels.slice(above.length);
  return write(below.length === 0 ? '/' : `/${below.join('/')}`);
}
