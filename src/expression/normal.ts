import type { Comparison, Expression, Operator } from './ast.ts';

const OPPOSITES: Readonly<Record<Operator, Operator>> = {
  '==': '!=',
  '!=': '==',
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
};

/** The same without any 'not': negations moved into the comparisons. Unknown stays unknown. */
export function withoutNot(expression: Expression, negated = false): Expression {
  switch (expression.kind) {
    case 'constant':
      return negated ? { ...expression, value: !expression.value } : expression;
    case 'not':
      return withoutNot(expression.term, !negated);
    case 'and':
    case 'or': {
      const kind = (expression.kind === 'and') === negated ? 'or' : 'and';
      return { ...expression, kind, terms: expression.terms.map((term) => withoutNot(term, negated)) };
    }
    default:
      return negated ? negatedComparison(expression) : expression;
  }
}

function negatedComparison(comparison: Comparison): Comparison {
  if (comparison.kind === 'number' || comparison.kind === 'age' || comparison.kind === 'owner')
    return { ...comparison, operator: OPPOSITES[comparison.operator] };
  return { ...comparison, equal: !comparison.equal };
}
