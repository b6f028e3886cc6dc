import { type AnswerHead, type Framing, framingOf, MalformedAnswerError, parseAnswerHead } from './answer-head.ts';

/** Where the body of an answer goes. */
export interface BodyTarget {
  readonly buffer: Buffer;
  /** Bytes that are there already; the reader adds what arrives. */
  filled: number;
}

export interface Answer extends AnswerHead {
  /** The body, where it did not go into a target; empty otherwise. */
  readonly body: Buffer;
}

export interface AnswerReaderOptions {
  /** Of the request. */
  readonly method: string;
  /**
   * Called with the head, before the body is read: where the body goes, or undefined to have it collected. What it throws
   * ends the answer.
   */
  readonly target?: ((head: AnswerHead) => BodyTarget | undefined) | undefined;
}

/** The body ended before all of it was there. */
export class TruncatedError extends Error {
  readonly code = 'TRUNCATED';

  constructor(got: number, expected?: number) {
    super(`the answer ended after ${got}${expected === undefined ? '' : ` of ${expected}`} bytes`);
    this.name = 'TruncatedError';
  }
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const EMPTY = Buffer.alloc(0);
// Metadata has 8 KiB at most, all fields of an answer hardly twice that.
const MAX_HEAD = 64 << 10;
const MAX_CHUNK_LINE = 256;
// Pages of a listing have some megabytes. What is larger than this is no answer to what we ask for.
const MAX_COLLECTED = 128 << 20;

/** A place for heads and small bodies, used again by all answers on one connection. */
export class ReadScratch {
  buffer = Buffer.allocUnsafeSlow(16 << 10);

  /** Twice the room, with the content kept. */
  grow(): void {
    const larger = Buffer.allocUnsafeSlow(this.buffer.length * 2);
    this.buffer.copy(larger);
    this.buffer = larger;
  }
}

/**
 * Reads one answer as it arrives. The owner reads from the socket into {@link room} and says how many bytes came
 * ({@link received}), until {@link answer} is there. A body of known length with a target is read right into it: then
 * `room` is a part of the target, never more than what is missing.
 */
export class AnswerReader {
  /** The whole answer, as soon as it is there. */
  answer: Answer | undefined;
  readonly #options: AnswerReaderOptions;
  readonly #scratch: ReadScratch;
  /** Bytes in the scratch that are not used up: from #start to #end. */
  #start = 0;
  #end = 0;
  /** Bytes of interim answers. */
  #interim = 0;
  #head: AnswerHead | undefined;
  #framing: Framing = { by: 'none' };
  /** Bytes that are missing, of the body or of the chunk. */
  #left = 0;
  #chunk: 'size' | 'data' | 'after' | 'trailer' = 'size';
  #target: BodyTarget | undefined;
  #collected: Buffer[] = [];
  #collectedBytes = 0;
  /** Whether #room is a part of the target. */
  #direct = false;

  constructor(scratch: ReadScratch, options: AnswerReaderOptions) {
    this.#scratch = scratch;
    this.#options = options;
  }

  /** Whether a byte of the answer has arrived. */
  get begun(): boolean {
    return this.#head !== undefined || this.#end > 0;
  }

  /** Whether more came than the answer: the connection can't be used again. */
  get surplus(): boolean {
    return this.answer !== undefined && this.#end > this.#start;
  }

  /** Where the next bytes go; never empty before the answer is there. */
  room(): Buffer {
    this.#direct = false;
    const target = this.#target;
    if (target !== undefined && this.#framing.by === 'length' && this.#left > 0 && this.answer === undefined) {
      this.#direct = true;
      return target.buffer.subarray(target.filled, target.filled + this.#left);
    }
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    if (this.#end === this.#scratch.buffer.length) this.#makeRoom();
    return this.#end === 0 ? this.#scratch.buffer : this.#scratch.buffer.subarray(this.#end);
  }

  /**
   * So many bytes have come into what `room` gave last.
   * @throws MalformedAnswerError, TruncatedError, or what the target function throws
   */
  received(bytes: number): void {
    if (this.#direct && this.#target !== undefined) {
      this.#target.filled += bytes;
      this.#left -= bytes;
      if (this.#left === 0) this.#finish();
      return;
    }
    this.#end += bytes;
    this.#advance();
  }

  /**
   * The server has ended the connection.
   * @throws TruncatedError when that is not the end of the answer
   */
  ended(): void {
    if (this.answer !== undefined) return;
    if (this.#head !== undefined && this.#framing.by === 'close') {
      this.#finish();
      return;
    }
    const got = this.#target?.filled ?? this.#collectedBytes;
    throw new TruncatedError(got, this.#framing.by === 'length' ? got + this.#left : undefined);
  }

  #makeRoom(): void {
    const { buffer } = this.#scratch;
    if (this.#start > 0) {
      buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    } else {
      this.#scratch.grow();
    }
  }

  #advance(): void {
    while (this.answer === undefined && this.#step()) {
      // as far as what has arrived goes
    }
  }

  /** One step on; false when more bytes are needed for it. */
  #step(): boolean {
    if (this.#head === undefined) return this.#readHead();
    switch (this.#framing.by) {
      case 'length':
        return this.#readBody(() => this.#finish());
      case 'chunks':
        return this.#readChunks();
      default:
        this.#take(this.#end - this.#start);
        return false;
    }
  }

  #readHead(): boolean {
    const { buffer } = this.#scratch;
    const from = this.#start;
    const end = buffer.indexOf(END_OF_HEAD, from);
    if (end === -1 || end + END_OF_HEAD.length > this.#end) {
      if (this.#end - this.#start >= MAX_HEAD) throw new MalformedAnswerError(`more than ${MAX_HEAD} bytes of fields`);
      return false;
    }
    const head = parseAnswerHead(buffer.toString('latin1', this.#start, end));
    this.#start = end + END_OF_HEAD.length;
    if (head.status === 101) throw new MalformedAnswerError('another protocol');
    if (head.status < 200) {
      // Interim answers, which nobody asked for: passed over, but not for ever.
      this.#interim += end + END_OF_HEAD.length - from;
      if (this.#interim > MAX_HEAD) throw new MalformedAnswerError(`more than ${MAX_HEAD} bytes of interim answers`);
      return true;
    }
    this.#head = head;
    this.#framing = framingOf(this.#options.method, head);
    this.#target = this.#framing.by === 'none' ? undefined : this.#options.target?.(head);
    if (this.#framing.by === 'length') this.#left = this.#framing.length;
    if (this.#target !== undefined && this.#left > this.#target.buffer.length - this.#target.filled)
      throw this.#tooLong();
    if (this.#framing.by === 'none' || (this.#framing.by === 'length' && this.#left === 0)) this.#finish();
    return true;
  }

  #readBody(whenWhole: () => void): boolean {
    const bytes = Math.min(this.#left, this.#end - this.#start);
    this.#take(bytes);
    this.#left -= bytes;
    if (this.#left > 0) return false;
    whenWhole();
    return true;
  }

  #readChunks(): boolean {
    switch (this.#chunk) {
      case 'data':
        return this.#readBody(() => {
          this.#chunk = 'after';
        });
      case 'size': {
        const line = this.#line();
        if (line === undefined) return false;
        const size = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?$/.exec(line);
        if (size === null) throw new MalformedAnswerError('a chunk without a size');
        this.#left = Number.parseInt(size[1] as string, 16);
        this.#chunk = this.#left === 0 ? 'trailer' : 'data';
        return true;
      }
      case 'after': {
        const line = this.#line();
        if (line === undefined) return false;
        if (line !== '') throw new MalformedAnswerError('a chunk longer than its size');
        this.#chunk = 'size';
        return true;
      }
      case 'trailer': {
        const line = this.#line();
        if (line === '') this.#finish();
        return line !== undefined;
      }
    }
  }

  #line(): string | undefined {
    const { buffer } = this.#scratch;
    const end = buffer.indexOf('\r\n', this.#start, 'latin1');
    if (end === -1 || end + 2 > this.#end) {
      if (this.#end - this.#start > MAX_CHUNK_LINE) throw new MalformedAnswerError('a chunk without a size');
      return undefined;
    }
    const line = buffer.toString('latin1', this.#start, end);
    this.#start = end + 2;
    return line;
  }

  /** Moves body bytes out of the scratch. */
  #take(bytes: number): void {
    if (bytes === 0) return;
    const from = this.#start;
    this.#start += bytes;
    const target = this.#target;
    if (target === undefined) {
      this.#collectedBytes += bytes;
      if (this.#collectedBytes > MAX_COLLECTED) throw new MalformedAnswerError(`more than ${MAX_COLLECTED} bytes`);
      this.#collected.push(Buffer.from(this.#scratch.buffer.subarray(from, this.#start)));
      return;
    }
    if (bytes > target.buffer.length - target.filled) throw this.#tooLong();
    this.#scratch.buffer.copy(target.buffer, target.filled, from, this.#start);
    target.filled += bytes;
  }

  #tooLong(): MalformedAnswerError {
    return new MalformedAnswerError('a body longer than what was asked for');
  }

  #finish(): void {
    const body = this.#collectedBytes === 0 ? EMPTY : Buffer.concat(this.#collected, this.#collectedBytes);
    this.answer = { ...(this.#head as AnswerHead), body };
  }
}
