import { type RhToken, rhTokens, syntaxError } from './lexer.ts';

/** A block: `name id { … }`. It holds settings and blocks, or a condition. */
export interface RhBlock {
  readonly kind: 'block';
  readonly name: string;
  readonly id: string | undefined;
  readonly items: readonly RhItem[];
  readonly condition: RhCondition | undefined;
  readonly file: string;
  readonly line: number;
}

/** `name = value(arguments);` */
export interface RhSetting {
  readonly kind: 'setting';
  readonly name: string;
  readonly value: string;
  readonly args: readonly string[];
  readonly file: string;
  readonly line: number;
}

export interface RhInclude {
  readonly kind: 'include';
  readonly target: string;
  readonly file: string;
  readonly line: number;
}

export type RhItem = RhBlock | RhSetting | RhInclude;

export type RhCondition = { readonly line: number } & (
  | { readonly kind: 'compare'; readonly field: string; readonly operator: string; readonly value: string }
  /** A class by its name, in a definition made of classes. */
  | { readonly kind: 'class'; readonly name: string }
  | { readonly kind: 'not'; readonly term: RhCondition }
  | { readonly kind: 'and' | 'or'; readonly left: RhCondition; readonly right: RhCondition }
);

const COMPARISONS = new Set(['==', '!=', '<>', '>', '>=', '<', '<=']);
const DEEPEST = 200;

/**
 * Reads a Robinhood configuration, without following its includes.
 * @param environment what `$NAME` stands for
 * @throws OperatorError with the line of what can't be read
 */
export function parseRobinhood(
  text: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): RhItem[] {
  return new Reader([...rhTokens(text, file)], file, environment).file();
}

class Reader {
  readonly #tokens: readonly RhToken[];
  readonly #file: string;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  #at = 0;

  constructor(tokens: readonly RhToken[], file: string, environment: Readonly<Record<string, string | undefined>>) {
    this.#tokens = tokens;
    this.#file = file;
    this.#environment = environment;
  }

  file(): RhItem[] {
    const items = this.#items(0);
    const token = this.#next();
    if (token.kind !== 'end') throw this.#error(token, `unexpected ${described(token)}`);
    return items;
  }

  #items(depth: number): RhItem[] {
    const items: RhItem[] = [];
    for (;;) {
      const token = this.#next();
      if (depth > DEEPEST) throw this.#error(token, 'blocks are nested too deeply');
      if (token.kind === 'include') {
        this.#at += 1;
        items.push({ kind: 'include', target: token.file, file: this.#file, line: token.line });
      } else if (token.kind === 'word') items.push(this.#item(depth));
      else return items;
    }
  }

  #item(depth: number): RhItem {
    const { text: name, line } = this.#word();
    if (this.#takes('=')) return this.#setting(name, line);
    const id = this.#next().kind === 'word' ? this.#word().text : undefined;
    this.#expect('{');
    const holds = this.#isCondition()
      ? { items: [], condition: this.#condition(depth) }
      : { items: this.#items(depth + 1), condition: undefined };
    this.#expect('}');
    return { kind: 'block', name, id, ...holds, file: this.#file, line };
  }

  #setting(name: string, line: number): RhSetting {
    const value = this.#value();
    const args: string[] = [];
    if (this.#takes('(')) {
      do args.push(this.#value());
      while (this.#takes(','));
      this.#expect(')');
    }
    this.#expect(';');
    return { kind: 'setting', name, value, args, file: this.#file, line };
  }

  /** Behind a `{`: settings and blocks begin with a word and `=`, `{` or another word and `{`. */
  #isCondition(): boolean {
    const [first, second, third] = this.#tokens.slice(this.#at, this.#at + 3);
    if (isSign(first, '(')) return true;
    if (first?.kind !== 'word') return false;
    if (first.text === 'not') return true;
    if (isSign(second, '=') || isSign(second, '{')) return false;
    return !(second?.kind === 'word' && isSign(third, '{'));
  }

  /**
   * Robinhood's grammar gives `and` and `or` (`inter` and `union` of classes) no precedence and shifts: `a and b or c` is
   * `a and (b or c)`. `not` takes the comparison behind it, or what is in parentheses; before a class, all that follows.
   */
  #condition(depth: number): RhCondition {
    const left = this.#term(depth);
    const token = this.#next();
    const word = token.kind === 'word' ? token.text : '';
    if (!/^(and|or|inter|union)$/.test(word)) return left;
    this.#at += 1;
    const kind = word === 'and' || word === 'inter' ? 'and' : 'or';
    return { kind, left, right: this.#condition(depth + 1), line: token.line };
  }

  #term(depth: number): RhCondition {
    const token = this.#next();
    if (depth > DEEPEST) throw this.#error(token, 'the condition is nested too deeply');
    if (this.#takes('(')) {
      const inner = this.#condition(depth + 1);
      this.#expect(')');
      return inner;
    }
    const { text, line } = this.#word();
    if (text === 'not') return { kind: 'not', term: this.#negated(depth), line };
    const sign = this.#next();
    if (sign.kind === 'sign' && COMPARISONS.has(sign.sign)) {
      this.#at += 1;
      return { kind: 'compare', field: text, operator: sign.sign, value: this.#value(), line };
    }
    if (isSign(sign, '(')) throw this.#error(sign, `functions such as ${text}(…) are not known`);
    return { kind: 'class', name: text, line };
  }

  #negated(depth: number): RhCondition {
    const [word, sign] = this.#tokens.slice(this.#at, this.#at + 2);
    const single =
      word?.kind === 'word' && word.text !== 'not' && !(sign?.kind === 'sign' && COMPARISONS.has(sign.sign));
    return single ? this.#condition(depth + 1) : this.#term(depth + 1);
  }

  #value(): string {
    const token = this.#next();
    this.#at += 1;
    if (token.kind === 'word' || token.kind === 'string') return token.text;
    if (token.kind !== 'variable') throw this.#error(token, `unexpected ${described(token)} in place of a value`);
    const value = this.#environment[token.name];
    if (value === undefined) throw this.#error(token, `the environment variable ${token.name} is not set`);
    return value;
  }

  #word(): { text: string; line: number } {
    const token = this.#next();
    if (token.kind !== 'word') throw this.#error(token, `unexpected ${described(token)}`);
    this.#at += 1;
    return token;
  }

  #takes(sign: string): boolean {
    if (!isSign(this.#next(), sign)) return false;
    this.#at += 1;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#takes(sign))
      throw this.#error(this.#next(), `unexpected ${described(this.#next())}, '${sign}' should be here`);
  }

  #next(): RhToken {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)] as RhToken;
  }

  #error(token: RhToken, message: string) {
    return syntaxError(this.#file, token.line, message);
  }
}

const isSign = (token: RhToken | undefined, sign: string) => token?.kind === 'sign' && token.sign === sign;

function described(token: RhToken): string {
  switch (token.kind) {
    case 'end':
      return 'end of the file';
    case 'sign':
      return `'${token.sign}'`;
    case 'include':
      return '%include';
    case 'variable':
      return `'$${token.name}'`;
    default:
      return `'${token.text}'`;
  }
}
