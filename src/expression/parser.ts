import { closest } from '../service/closest.ts';
import type { Expression } from './ast.ts';
import { ExpressionError } from './error.ts';
import { FIELD_NAMES, fieldOf, HSM_FLAGS, isHsmFlag, otherName, ValueError } from './fields.ts';
import { type Token, tokensOf } from './lexer.ts';

/** Levels of parentheses and 'not'. */
const DEEPEST = 100;
const CONDITION = "a condition such as 'size > 16MB'";

/**
 * Reads a condition. The grammar (docs/policies.md):
 *
 *     expression = term { 'and' term } | term { 'or' term }
 *     term       = 'not' term | '(' expression ')' | FIELD OPERATOR VALUE | HSM-FLAG
 *
 * 'and' and 'or' are not mixed without parentheses: Robinhood reads `a and b or c` as `a and (b or c)`, most other
 * languages as `(a and b) or c`, and here a misunderstanding costs files.
 * @throws ExpressionError with the place and what would have been right there
 */
export function parseExpression(text: string): Expression {
  const reader = new Reader(text);
  const expression = reader.expression(0);
  reader.expectEnd();
  return expression;
}

class Reader {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  expression(depth: number): Expression {
    const terms = [this.#term(depth)];
    let joint: 'and' | 'or' | undefined;
    for (;;) {
      const word = this.#joint();
      if (word === undefined) break;
      if (joint !== undefined && word !== joint) {
        throw this.#error(this.#next(), "'and' and 'or' are mixed", 'parentheses around what belongs together');
      }
      joint = word;
      this.#at += 1;
      terms.push(this.#term(depth));
    }
    const [first] = terms as [Expression];
    return joint === undefined ? first : { kind: joint, terms, start: first.start, end: this.#last().end };
  }

  expectEnd(): void {
    const token = this.#next();
    if (token.kind === 'end') return;
    if (token.kind === ')') throw this.#error(token, "a ')' without its '('");
    throw this.#error(token, `unexpected ${described(token)}`, "'and', 'or' or the end");
  }

  #term(depth: number): Expression {
    const token = this.#take();
    if (depth > DEEPEST) throw this.#error(token, `more than ${DEEPEST} levels of parentheses`);
    if (token.kind === '(') return this.#parenthesised(token, depth);
    if (token.kind !== 'word') throw this.#error(token, `unexpected ${described(token)}`, CONDITION);
    const word = token.text.toLowerCase();
    if (word === 'not') {
      const term = this.#term(depth + 1);
      return { kind: 'not', term, start: token.start, end: term.end };
    }
    if (word === 'and' || word === 'or') throw this.#error(token, `unexpected '${token.text}'`, CONDITION);
    if (isHsmFlag(word) && this.#next().kind !== 'operator') {
      return { kind: 'hsm', equal: true, flag: word, start: token.start, end: token.end };
    }
    return this.#comparison(token);
  }

  #parenthesised(open: Token, depth: number): Expression {
    const inner = this.expression(depth + 1);
    const close = this.#take();
    if (close.kind === ')') return { ...inner, start: open.start, end: close.end };
    throw close.kind === 'end'
      ? this.#error(open, "a '(' is never closed", "a ')'")
      : this.#error(close, `unexpected ${described(close)}`, "'and', 'or' or ')'");
  }

  #comparison(token: Token & { readonly kind: 'word' }): Expression {
    // The names of extended attributes have both cases.
    const name = /^xattr\./i.test(token.text) ? `xattr.${token.text.slice(6)}` : token.text.toLowerCase();
    const field = fieldOf(name);
    if (field === undefined) throw this.#error(token, `unknown field '${token.text}'`, suggestion(name));
    const sign = this.#take();
    const allowed = field.equality === true ? "'==' or '!='" : "one of '==', '!=', '<', '<=', '>', '>='";
    if (sign.kind !== 'operator') throw this.#error(sign, `unexpected ${described(sign)}`, allowed);
    if (field.equality === true && sign.operator !== '==' && sign.operator !== '!=')
      throw this.#error(sign, `'${sign.operator}' is not for ${name}`, allowed);
    const value = this.#take();
    if (value.kind !== 'word' && value.kind !== 'quoted')
      throw this.#error(value, `unexpected ${described(value)}`, `a value for ${name}`);
    const quoted = value.kind === 'quoted';
    try {
      return field.compare(name, sign.operator, { text: value.text, quoted }, { start: token.start, end: value.end });
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      const at = value.start + (quoted ? 1 : 0) + Math.max(0, error.offset);
      throw new ExpressionError(this.#text, error.offset > 0 ? at : value.start, error.message, error.expected);
    }
  }

  #joint(): 'and' | 'or' | undefined {
    const token = this.#next();
    const word = token.kind === 'word' ? token.text.toLowerCase() : '';
    return word === 'and' || word === 'or' ? word : undefined;
  }

  #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #last(): Token {
    return this.#tokens[this.#at - 1] as Token;
  }

  #take(): Token {
    const token = this.#next();
    if (token.kind !== 'end') this.#at += 1;
    return token;
  }

  #error(token: Token, message: string, expected?: string): ExpressionError {
    return new ExpressionError(this.#text, token.start, message, expected);
  }
}

function described(token: Token): string {
  if (token.kind === 'end') return 'end';
  if (token.kind === 'operator') return `'${token.operator}'`;
  return token.kind === 'word' || token.kind === 'quoted' ? `'${token.text}'` : `'${token.kind}'`;
}

function suggestion(word: string): string {
  const near = otherName(word) ?? closest(word, [...FIELD_NAMES, ...HSM_FLAGS]);
  return near === undefined ? `one of ${FIELD_NAMES.join(', ')}` : `'${near}'`;
}
