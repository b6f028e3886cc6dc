/**
 * Cuts a byte stream into lines ended by `\n`. Lines are bytes: decoding is the caller's, so a character cut between
 * two chunks stays whole.
 */
export class LineSplitter {
  readonly #limit: number;
  #parts: Buffer[] = [];
  #held = 0;

  /** @param limit the longest line in bytes, without its end; a longer one makes `push` throw a RangeError. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that this chunk completed, in order, without their ends. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      lines.push(this.#take(chunk.subarray(from, end)));
      from = end + 1;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from));
    return lines;
  }

  /** What came after the last line's end; empty when the stream ended with a whole line. */
  rest(): Buffer {
    return this.#take(Buffer.alloc(0));
  }

  #hold(part: Buffer): void {
    this.#held += part.length;
    if (this.#held > this.#limit) throw new RangeError(`a line is longer than ${this.#limit} bytes`);
    this.#parts.push(part);
  }

  #take(last: Buffer): Buffer {
    this.#hold(last);
    const line = this.#parts.length === 1 ? last : Buffer.concat(this.#parts, this.#held);
    this.#parts = [];
    this.#held = 0;
    return line;
  }
}
