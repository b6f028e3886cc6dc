/** Header fields of an answer: names in lower case, values of a repeated field joined with commas. */
export type HeaderFields = Readonly<Record<string, string>>;

export interface AnswerHead {
  readonly status: number;
  readonly fields: HeaderFields;
  /** Whether the server speaks HTTP/1.1 and means to keep the connection. */
  readonly keepAlive: boolean;
}

/** What came is not an HTTP/1.1 answer, or not one that can be told apart from the next. */
export class MalformedAnswerError extends Error {
  readonly code = 'MALFORMED_ANSWER';

  constructor(what: string) {
    super(`the answer is not HTTP: ${what}`);
    this.name = 'MalformedAnswerError';
  }
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Reads status line and fields, strictly: what two readers could understand in two ways is refused.
 * @param text everything before the empty line, as latin1
 * @throws MalformedAnswerError
 */
export function parseAnswerHead(text: string): AnswerHead {
  const lines = text.split('\r\n');
  const status = STATUS_LINE.exec(lines[0] as string);
  if (status === null) throw new MalformedAnswerError('no status line');
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 1; at < lines.length; at++) addField(fields, lines[at] as string);
  const connection = fields['connection'];
  return {
    status: Number(status[2]),
    fields,
    keepAlive: status[1] === '1' && (connection === undefined || !/\bclose\b/i.test(connection)),
  };
}

function addField(fields: Record<string, string>, line: string): void {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0));
  if (!NAME.test(name)) throw new MalformedAnswerError('a field without a name');
  const key = name.toLowerCase();
  const value = line.slice(colon + 1).trim();
  const before = fields[key];
  if (before !== undefined && key === 'content-length' && before !== value) {
    throw new MalformedAnswerError('two lengths');
  }
  fields[key] = before === undefined || key === 'content-length' ? value : `${before}, ${value}`;
}

export type Framing =
  | { readonly by: 'none' }
  | { readonly by: 'length'; readonly length: number }
  | { readonly by: 'chunks' }
  | { readonly by: 'close' };

/**
 * How the end of the body is told (RFC 9112, 6.3).
 * @throws MalformedAnswerError when it is told in more than one way, or in one that is not known here
 */
export function framingOf(method: string, { status, fields }: AnswerHead): Framing {
  if (method === 'HEAD' || status === 204 || status === 304) return { by: 'none' };
  const coding = fields['transfer-encoding'];
  const length = fields['content-length'];
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') throw new MalformedAnswerError('an unknown transfer coding');
    if (length !== undefined) throw new MalformedAnswerError('chunks and a length');
    return { by: 'chunks' };
  }
  if (length === undefined) return { by: 'close' };
  if (!/^\d{1,15}$/.test(length)) throw new MalformedAnswerError('a length that is not a number');
  return { by: 'length', length: Number(length) };
}
