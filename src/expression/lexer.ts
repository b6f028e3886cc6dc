import type { Operator, Span } from './ast.ts';
import { ExpressionError } from './error.ts';

export type Token = Span &
  (
    | { readonly kind: 'word'; readonly text: string }
    /** What is between the quotes, escapes and all. */
    | { readonly kind: 'quoted'; readonly text: string }
    | { readonly kind: 'operator'; readonly operator: Operator }
    | { readonly kind: '(' | ')' | 'end' }
  );

/** The longest expression that is read: far more than anybody writes. */
const LONGEST = 64 * 1024;

const OPERATORS: readonly (readonly [string, Operator])[] = [
  ['==', '=='],
  ['!=', '!='],
  ['<>', '!='],
  ['>=', '>='],
  ['<=', '<='],
  ['>', '>'],
  ['<', '<'],
];

const SPACE = /\s+/y;
const WORD = /(?:\\.|[^\s()"'<>=!\\])+/suy;

/** An expression in pieces, the end as the last of them. @throws ExpressionError */
export function tokensOf(text: string): Token[] {
  if (text.length > LONGEST) throw new ExpressionError(text, LONGEST, `is longer than ${LONGEST} characters`);
  const tokens: Token[] = [];
  for (let at = skipSpace(text, 0); at < text.length; ) {
    const token = tokenAt(text, at);
    tokens.push(token);
    at = skipSpace(text, token.end);
  }
  tokens.push({ kind: 'end', start: text.length, end: text.length });
  return tokens;
}

function skipSpace(text: string, at: number): number {
  SPACE.lastIndex = at;
  return SPACE.exec(text) === null ? at : SPACE.lastIndex;
}

function tokenAt(text: string, start: number): Token {
  const character = text[start] as string;
  if (character === '(' || character === ')') return { kind: character, start, end: start + 1 };
  if (character === '"' || character === "'") return quotedAt(text, start);
  for (const [written, operator] of OPERATORS) {
    if (text.startsWith(written, start)) return { kind: 'operator', operator, start, end: start + written.length };
  }
  WORD.lastIndex = start;
  const word = WORD.exec(text);
  if (word !== null) return { kind: 'word', text: word[0], start, end: WORD.lastIndex };
  throw new ExpressionError(text, start, `unexpected '${character}'`, usage(character));
}

function usage(character: string): string | undefined {
  if (character === '=') return "'==' to compare";
  return character === '!' ? "'!=', or 'not' before what is to be false" : undefined;
}

function quotedAt(text: string, start: number): Token {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at += text[at] === '\\' ? 2 : 1) {
    if (text[at] === quote) return { kind: 'quoted', text: text.slice(start + 1, at), start, end: at + 1 };
  }
  throw new ExpressionError(text, start, 'a quotation mark is never closed', `another ${quote}`);
}
