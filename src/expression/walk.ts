import type { Comparison, Expression } from './ast.ts';

/** Every comparison in it. */
export function* comparisonsOf(expression: Expression): Generator<Comparison> {
  switch (expression.kind) {
    case 'constant':
      return;
    case 'not':
      yield* comparisonsOf(expression.term);
      return;
    case 'and':
    case 'or':
      for (const term of expression.terms) yield* comparisonsOf(term);
      return;
    default:
      yield expression;
  }
}

/** The same with every comparison put through `change`. */
export function mapComparisons(expression: Expression, change: (comparison: Comparison) => Expression): Expression {
  switch (expression.kind) {
    case 'constant':
      return expression;
    case 'not':
      return { ...expression, term: mapComparisons(expression.term, change) };
    case 'and':
    case 'or':
      return { ...expression, terms: expression.terms.map((term) => mapComparisons(term, change)) };
    default:
      return change(expression);
  }
}

/** How many comparisons it has; what is in it several times counts as often, though it is looked at once. */
export function sizeOf(expression: Expression, known = new Map<Expression, number>()): number {
  const found = known.get(expression);
  if (found !== undefined) return found;
  const terms =
    expression.kind === 'not'
      ? [expression.term]
      : expression.kind === 'and' || expression.kind === 'or'
        ? expression.terms
        : undefined;
  const size = terms === undefined ? 1 : terms.reduce((sum, term) => sum + sizeOf(term, known), 0);
  known.set(expression, size);
  return size;
}

/** What must be read of a file, besides its attributes, to decide a condition. */
export interface Needs {
  readonly paths: boolean;
  readonly creation: boolean;
  /** Names of extended attributes. */
  readonly xattrs: readonly string[];
}

export function needsOf(...expressions: readonly (Expression | undefined)[]): Needs {
  const xattrs = new Set<string>();
  let paths = false;
  let creation = false;
  for (const expression of expressions) {
    if (expression === undefined) continue;
    for (const comparison of comparisonsOf(expression)) {
      if (comparison.kind === 'xattr') xattrs.add(comparison.name);
      else if (comparison.kind === 'age') creation ||= comparison.field === 'creation';
      else if (comparison.kind === 'glob') paths ||= comparison.field !== 'pool';
      else if (comparison.kind === 'number') paths ||= comparison.field === 'depth';
    }
  }
  return { paths, creation, xattrs: [...xattrs] };
}
