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

/** A condition on the row `e` of `entries`, and the values of its parameters. */
export interface Where {
  readonly sql: string;
  readonly values: readonly Value[];
  /** Everything was translated: it says exactly what the expression says of the entry. Otherwise it lets more through. */
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
 * An expression as SQL. What the table does not have (paths, extended attributes, the time of creation) lets everything
 * through; negations are moved into the comparisons before, so that what lets more through never stands under one.
 * @param now milliseconds since 1970
 */
export function whereOf(expression: Expression, now: number): Where {
  const where = translated(withoutNot(expression), wholeSeconds(now));
  return where.depth > DEEPEST || where.values.length > MOST_VALUES ? ANYTHING : where;
}

function translated(expression: Expression, seconds: number): Where {
  switch (expression.kind) {
    case 'constant':
      return exactly(expression.value ? '1' : '0');
    case 'and':
    case 'or':
      return joined(
        expression.terms.map((term) => translated(term, seconds)),
        expression.kind,
      );
    case 'not':
      return ANYTHING; // there is none any more
    default:
      return comparisonSql(expression, seconds);
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

function comparisonSql(comparison: Comparison, seconds: number): Where {
  switch (comparison.kind) {
    case 'type':
      return exactly(`e.type ${comparison.equal ? '=' : '<>'} ?`, typeCode(comparison.type));
    case 'number': {
      if (comparison.field === 'depth') return ANYTHING;
      const column = comparison.field === 'archive_id' ? 'archive' : comparison.field;
      return exactly(`e.${column} ${SQL_OPERATORS[comparison.operator]} ?`, comparison.value);
    }
    case 'age': {
      const column = TIME_COLUMNS[comparison.field];
      if (column === undefined) return ANYTHING;
      return exactly(`${column} ${SWAPPED[comparison.operator]} ?`, seconds - comparison.seconds);
    }
    case 'owner': {
      if (comparison.id === undefined) return ANYTHING;
      const column = comparison.field === 'owner' ? 'uid' : 'gid';
      return exactly(`e.${column} ${SQL_OPERATORS[comparison.operator]} ?`, comparison.id);
    }
    case 'hsm':
      return exactly(`e.hsm & ${HSM_BITS[comparison.flag]} ${comparison.equal ? '<>' : '='} 0`);
    case 'ost':
      return exactly(`instr(',' || e.osts || ',', ?) ${comparison.equal ? '>' : '='} 0`, `,${comparison.index},`);
    case 'glob': {
      const { exact } = comparison.glob;
      if (exact === undefined) return ANYTHING;
      if (comparison.field === 'pool') return exactly(`CAST(e.pool AS BLOB) ${comparison.equal ? '=' : '<>'} ?`, exact);
      if (comparison.field !== 'name' || !comparison.equal) return ANYTHING;
      // What has no name in the catalog may have any.
      return {
        sql: `(EXISTS (SELECT 1 FROM links WHERE child = e.fid AND name = ?)
          OR NOT EXISTS (SELECT 1 FROM links WHERE child = e.fid))`,
        values: [exact],
        exact: false,
        depth: 5,
      };
    }
    case 'xattr':
    case 'class':
      return ANYTHING;
  }
}

const TIME_COLUMNS: Readonly<Partial<Record<Extract<Comparison, { kind: 'age' }>['field'], string>>> = {
  last_mod: 'e.mtime',
  last_access: 'max(e.atime, e.mtime)',
  last_change: 'e.ctime',
};
