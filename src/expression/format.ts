import { formatBytes, formatDuration } from '../service/units.ts';
import type { Comparison, Expression } from './ast.ts';

/** The expression as text that reads back as the same. */
export function formatExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'constant':
      return expression.value ? 'size >= 0' : 'size < 0';
    case 'not':
      return `not ${inParentheses(expression.term)}`;
    case 'and':
    case 'or':
      return expression.terms.map(inParentheses).join(` ${expression.kind} `);
    default:
      return formatComparison(expression);
  }
}

function inParentheses(expression: Expression): string {
  const text = formatExpression(expression);
  return expression.kind === 'and' || expression.kind === 'or' ? `(${text})` : text;
}

function formatComparison(comparison: Comparison): string {
  const sign = 'operator' in comparison ? comparison.operator : comparison.equal ? '==' : '!=';
  switch (comparison.kind) {
    case 'type':
      return `type ${sign} ${comparison.type === 'dir' ? 'directory' : comparison.type}`;
    case 'number':
      return `${comparison.field} ${sign} ${formatNumber(comparison.field, comparison.value)}`;
    case 'age':
      return `${comparison.field} ${sign} ${formatDuration(comparison.seconds * 1000)}`;
    case 'owner':
      return `${comparison.field} ${sign} ${/^[\w.-]+$/.test(comparison.name) ? comparison.name : quoted(comparison.name)}`;
    case 'hsm':
      return comparison.equal ? comparison.flag : `hsm != ${comparison.flag}`;
    case 'ost':
      return `ost ${sign} ${comparison.index}`;
    case 'class':
      return `class ${sign} ${/^[\w.*-]+$/.test(comparison.glob.text) ? comparison.glob.text : quoted(comparison.glob.text)}`;
    case 'xattr':
      return `xattr.${comparison.name} ${sign} ${quoted(comparison.glob.text)}`;
    case 'glob':
      return `${comparison.glob.ignoreCase ? 'iname' : comparison.field} ${sign} ${quoted(comparison.glob.text)}`;
  }
}

function formatNumber(field: string, value: number): string {
  if (field === 'mode') return value.toString(8).padStart(4, '0');
  if (field !== 'size') return String(value);
  const text = formatBytes(value);
  return text.includes('.') || text.endsWith('iB') === false ? String(value) : text;
}

/** Between quotation marks; a mark inside gets a backslash, and one that has one keeps it. */
function quoted(text: string): string {
  return `"${text.replace(/\\.|"/gs, (found) => (found === '"' ? '\\"' : found))}"`;
}
