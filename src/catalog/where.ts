import type { Comparison, Expression, Operator } from '../expression/ast.ts';
import { HSM_BITS, wholeSeconds } from '../expression/evaluate.ts';
import { withoutNot } from '../expression/normal.ts';
import { typeCode } from './codes.ts';
import type { Value } from './database.ts';

/** Ages in seconds. */
export interface AgeRange {
  readonly least: number;
  readonly most: number;
}

const ANY_AGE: AgeRange = { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY };
const NO_AGE: AgeRange = { least: Number.POSITIVE_INFINITY, most: Number.NEGATIVE_INFINITY };

/**
 * The ages that files may have for which an expression holds: where a walk in the order of that time begins and ends.
 * What was last used so long ago was last modified at least as long ago, too.
 */
export function agesIn(expression: Expression, field: 'last_mod' | 'last_access'): AgeRange {
  return agesOf(withoutNot(expression), field);
}

function agesOf(expression: Expression, field: 'last_mod' | 'last_access'): AgeRange {
  switch (expression.kind) {
    case 'constant':
      return expression.value ? ANY_AGE : NO_AGE;
    case 'and':
      return expression.terms
        .map((term) => agesOf(term, field))
        .reduce((a, b) => ({ least: Math.max(a.least, b.least), most: Math.min(a.most, b.most) }));
    case 'or':
      return expression.terms
        .map((term) => agesOf(term, field))
        .reduce((a, b) => ({ least: Math.min(a.least, b.least), most: Math.max(a.most, b.most) }));
    case 'age': {
      const range = rangeOf(expression.operator, expression.seconds);
      if (expression.field === field) return range;
      return field === 'last_mod' && expression.field === 'last_access' ? { ...ANY_AGE, least: range.least } : ANY_AGE;
    }
    default:
      return ANY_AGE;
  }
}

function rangeOf(operator: Operator, seconds: number): AgeRange {
  switch (operator) {
    case '>':
      return { ...ANY_AGE, least: seconds + 1 };
    case '>=':
      return { ...ANY_AGE, least: seconds };
    case '<':
      return { ...ANY_AGE, most: seconds - 1 };
    case '<=':
      return { ...ANY_AGE, most: seconds };
    case '==':
      return { least: seconds, most: seconds };
    case '!=':
      return ANY_AGE;
  }
}

/** What conditions compare, as SQL. What is missing is not known there, and lets everything through. */
export interface WhereColumns {
  /** Missing: all of them are files. */
  readonly type?: string;
  readonly mode?: string;
  readonly nlink?: string;
  readonly size?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly project?: string;
  readonly archive?: string;
  readonly last_mod?: string;
  readonly last_access?: string;
  readonly last_change?: string;
  readonly hsm?: string;
  readonly osts?: string;
  readonly pool?: string;
  /** To look for names by. */
  readonly fid?: string;
}

/** Of the row `e` of `entries`. */
export const ENTRY: WhereColumns = {
  type: 'e.type',
  mode: 'e.mode',
  nlink: 'e.nlink',
  size: 'e.size',
  uid: 'e.uid',
  gid: 'e.gid',
  project: 'e.project',
  archive: 'e.archive',
  last_mod: 'e.mtime',
  last_access: 'max(e.atime, e.mtime)',
  last_change: 'e.ctime',
  hsm: 'e.hsm',
  osts: 'e.osts',
  pool: 'e.pool',
  fid: 'e.fid',
};

/** A condition on a row, and the values of its parameters. */
export interface Where {
  readonly sql: string;
  readonly values: readonly Value[];
  /** Everything was translated: it says exactly what the expression says of the file. Otherwise it lets more through. */
  readonly exact: boolean;
  /** Levels of operators. */
  readonly depth: number;
}

const ANYTHING: Where = { sql: '1', values: [], exact: false, depth: 1 };
const exactly = (sql: string, ...values: Value[]): Where => ({ sql, values, exact: true, depth: 5 });

/** What SQLite takes as it is built (1,000 levels, 32,766 parameters), with room for what is put around it. */
const DEEPEST = 900;
const MOST_VALUES = 30_000;

/**
 * An expression as SQL. What the columns do not have (paths, extended attributes, the time of creation) lets everything
 * through; negations are moved into the comparisons before, so that what lets more through never stands under one.
 * @param now milliseconds since 1970
 */
export function whereOf(expression: Expression, now: number, columns: WhereColumns = ENTRY): Where {
  const where = translated(withoutNot(expression), wholeSeconds(now), columns);
  return where.depth > DEEPEST || where.values.length > MOST_VALUES ? ANYTHING : where;
}

function translated(expression: Expression, seconds: number, columns: WhereColumns): Where {
  switch (expression.kind) {
    case 'constant':
      return exactly(expression.value ? '1' : '0');
    case 'and':
    case 'or':
      return joined(
        expression.terms.map((term) => translated(term, seconds, columns)),
        expression.kind,
      );
    case 'not':
      return ANYTHING; // there is none any more
    default:
      return comparisonSql(expression, seconds, columns);
  }
}

function joined(terms: readonly Where[], kind: 'and' | 'or'): Where {
  const exact = terms.every((term) => term.exact);
  const values = terms.flatMap((term) => term.values);
  const decisive = kind === 'and' ? '0' : '1';
  const decided = terms.find((term) => term.sql === decisive);
  if (decided !== undefined) return { ...decided, exact: decided.exact || exact };
  const kept = terms.filter((term) => term.sql !== (kind === 'and' ? '1' : '0'));
  if (kept.length === 0) return { sql: kind === 'and' ? '1' : '0', values: [], exact, depth: 1 };
  return { ...balanced(kept, kind === 'and' ? ' AND ' : ' OR '), values, exact };
}

/** SQLite makes a level of each operator in a row: halves in parentheses keep a long row flat. */
function balanced(terms: readonly Where[], operator: string): Pick<Where, 'sql' | 'depth'> {
  if (terms.length === 1) return terms[0] as Where;
  const middle = Math.ceil(terms.length / 2);
  const [left, right] = [balanced(terms.slice(0, middle), operator), balanced(terms.slice(middle), operator)];
  return { sql: `(${left.sql}${operator}${right.sql})`, depth: Math.max(left.depth, right.depth) + 1 };
}

const SQL_OPERATORS: Readonly<Record<Operator, string>> = {
  '==': '=',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

/** How long ago it was is more when the time is less. */
const SWAPPED: Readonly<Record<Operator, string>> = { ...SQL_OPERATORS, '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

function comparisonSql(comparison: Comparison, seconds: number, columns: WhereColumns): Where {
  switch (comparison.kind) {
    case 'type': {
      const { type } = columns;
      if (type === undefined) return exactly((comparison.type === 'file') === comparison.equal ? '1' : '0');
      return exactly(`${type} ${comparison.equal ? '=' : '<>'} ?`, typeCode(comparison.type));
    }
    case 'number': {
      if (comparison.field === 'depth') return ANYTHING;
      const column = columns[comparison.field === 'archive_id' ? 'archive' : comparison.field];
      return column === undefined ? ANYTHING : compared(column, SQL_OPERATORS[comparison.operator], comparison.value);
    }
    case 'age': {
      const column = TIMES.has(comparison.field) ? columns[comparison.field as Time] : undefined;
      if (column === undefined) return ANYTHING;
      return compared(column, SWAPPED[comparison.operator], seconds - comparison.seconds);
    }
    case 'owner': {
      const column = comparison.field === 'owner' ? columns.uid : columns.gid;
      if (comparison.id === undefined || column === undefined) return ANYTHING;
      return compared(column, SQL_OPERATORS[comparison.operator], comparison.id);
    }
    case 'hsm': {
      if (columns.hsm === undefined) return ANYTHING;
      return exactly(`${columns.hsm} & ${HSM_BITS[comparison.flag]} ${comparison.equal ? '<>' : '='} 0`);
    }
    case 'ost': {
      const { osts } = columns;
      if (osts === undefined) return ANYTHING;
      return exactly(`instr(',' || ${osts} || ',', ?) ${comparison.equal ? '>' : '='} 0`, `,${comparison.index},`);
    }
    case 'glob':
      return globSql(comparison, columns);
    case 'xattr':
    case 'class':
      return ANYTHING;
  }
}

const compared = (column: string, operator: string, value: Value): Where => exactly(`${column} ${operator} ?`, value);

function globSql({ glob, field, equal }: Extract<Comparison, { kind: 'glob' }>, { pool, fid }: WhereColumns): Where {
  const { exact } = glob;
  if (exact === undefined) return ANYTHING;
  if (field === 'pool')
    return pool === undefined ? ANYTHING : compared(`CAST(${pool} AS BLOB)`, equal ? '=' : '<>', exact);
  if (field !== 'name' || !equal || fid === undefined) return ANYTHING;
  // What has no name in the catalog may have any.
  return {
    sql: `(EXISTS (SELECT 1 FROM links WHERE child = ${fid} AND name = ?)
      OR NOT EXISTS (SELECT 1 FROM links WHERE child = ${fid}))`,
    values: [exact],
    exact: false,
    depth: 5,
  };
}

type Time = 'last_mod' | 'last_access' | 'last_change';
const TIMES: ReadonlySet<string> = new Set<Time>(['last_mod', 'last_access', 'last_change']);
