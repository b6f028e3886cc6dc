/** An expression that can't be read, and where. */
export class ExpressionError extends Error {
  /** Characters before the place. */
  readonly offset: number;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  /** What would have been right there, in the operator's words. */
  readonly expected: string | undefined;

  constructor(text: string, offset: number, message: string, expected?: string) {
    super(expected === undefined ? message : `${message}; expected ${expected}`);
    this.name = 'ExpressionError';
    const before = text.slice(0, offset);
    this.offset = offset;
    this.line = before.split('\n').length;
    this.column = offset - before.lastIndexOf('\n');
    this.expected = expected;
  }
}
