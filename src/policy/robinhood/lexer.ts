import { OperatorError } from '../../service/errors.ts';

/** What Robinhood's lexer makes of its configuration (3.x, conf_lex.l). */
export type RhToken = { readonly line: number } & (
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'include'; readonly file: string }
  | { readonly kind: 'sign'; readonly sign: string }
  | { readonly kind: 'end' }
);

const SIGNS = ['==', '>=', '<=', '<>', '!=', '{', '}', '(', ')', ',', ';', '=', '>', '<', '!'];
const WORD = /[^ \t\r\n\f"'#(),;=<>!{}]+/y;

/** @throws OperatorError with the line */
export function* rhTokens(text: string, file: string): Generator<RhToken> {
  let line = 1;
  let include = false;
  for (let at = 0; at < text.length; ) {
    const character = text[at] as string;
    if (character === '\n') line += 1;
    if (/\s/.test(character)) at += 1;
    else if (character === '#' || text.startsWith('//', at)) {
      const end = text.indexOf('\n', at);
      at = end === -1 ? text.length : end;
    } else if (character === '"' || character === "'") {
      const string = stringAt(text, at);
      if (string === undefined) throw syntaxError(file, line, 'a quotation mark is never closed');
      if (include) yield { kind: 'include', file: string.text, line };
      else yield { kind: 'string', text: string.text, line };
      include = false;
      line += string.lines;
      at = string.end;
    } else if (include) throw syntaxError(file, line, '%include needs a file name between quotation marks');
    else if (/^%include\b/.test(text.slice(at, at + 9))) {
      include = true;
      at += '%include'.length;
    } else {
      const sign = SIGNS.find((one) => text.startsWith(one, at));
      if (sign !== undefined) {
        yield { kind: 'sign', sign, line };
        at += sign.length;
        continue;
      }
      WORD.lastIndex = at;
      const [word = character] = WORD.exec(text) ?? [];
      const variable = /^\$[A-Za-z_.][\w.-]*$/.test(word);
      yield variable ? { kind: 'variable', name: word.slice(1), line } : { kind: 'word', text: word, line };
      at += word.length;
    }
  }
  yield { kind: 'end', line };
}

/** Between double ones a backslash takes the meaning from what follows; between single ones there is none. */
function stringAt(text: string, start: number): { text: string; end: number; lines: number } | undefined {
  const quote = text[start];
  let value = '';
  let lines = 0;
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] as string;
    if (character === quote) return { text: value, end: at + 1, lines };
    if (character === '\n') return undefined;
    if (character !== '\\' || quote === "'") value += character;
    else {
      at += 1;
      if (text[at] === '\n') lines += 1;
      else value += text[at] ?? '';
    }
  }
  return undefined;
}

export function syntaxError(file: string, line: number, message: string): OperatorError {
  return new OperatorError(`${file}:${line}: ${message}`, {
    code: 'ROBINHOOD_SYNTAX',
    exit: 'usage',
    hint: "Is this a Robinhood 3 configuration? 'robinhood --test-syntax' checks it.",
  });
}
