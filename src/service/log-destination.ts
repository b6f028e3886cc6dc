import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isNoRoom } from './no-room.ts';

/** A reader of standard error that takes nothing for so many milliseconds loses lines: the service must go on. */
const PATIENCE_MS = 5_000;
const POLL_MS = 10;
const STDERR = 2;

/**
 * Where the lines of a log go: a file, or standard error. A line that can't be written (a full disk) is dropped and
 * counted; each later line is tried again. Losing lines of a log is no reason to stop serving readers.
 */
export class LogDestination {
  readonly #file: string | undefined;
  /** Undefined while there is no room to make the file. */
  #fd: number | undefined;
  #failing = false;
  /** The last line was cut off in its middle. */
  #torn = false;
  #dropped = 0;

  /** @throws the system's error when the file can't be opened, unless it is that there is no room to make it */
  constructor(file: string | undefined) {
    this.#file = file;
    try {
      this.#fd = file === undefined ? STDERR : open(file);
    } catch (error) {
      // The first line tells.
      if (!isNoRoom(error)) throw error;
    }
  }

  /** Lines that were lost since it was opened. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Never throws. @returns whether this is the first line after some that were dropped */
  write(line: string): boolean {
    try {
      this.#put(Buffer.from(this.#torn ? `\n${line}` : line));
    } catch (error) {
      this.#dropped += 1;
      if (!this.#failing) this.#tell('can not be written, its lines are dropped until it can', error);
      this.#failing = true;
      return false;
    }
    const back = this.#failing;
    this.#failing = false;
    return back;
  }

  /** Opens the file again; when that fails, the one that is open stays in use. Never throws. */
  reopen(): void {
    if (this.#file === undefined) return;
    try {
      const old = this.#fd;
      this.#fd = open(this.#file);
      this.#torn = false;
      if (old !== undefined) closeSync(old);
    } catch (error) {
      this.#tell('can not be opened again, what was open stays in use', error);
    }
  }

  close(): void {
    if (this.#file === undefined || this.#fd === undefined) return;
    try {
      closeSync(this.#fd);
    } catch {
      // What could not be written was told of.
    }
  }

  #put(bytes: Buffer): void {
    if (this.#fd === undefined && this.#file !== undefined) this.#fd = open(this.#file);
    const fd = this.#fd ?? STDERR;
    const until = performance.now() + PATIENCE_MS;
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(fd, bytes, at);
        this.#torn = at < bytes.length;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EINTR') continue;
        // A pipe that is full; once it was given up, lines don't wait for it any more.
        if (code !== 'EAGAIN' || this.#failing || performance.now() > until) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
      }
    }
  }

  #tell(what: string, error: unknown): void {
    if (this.#file === undefined) return;
    try {
      writeSync(STDERR, `log file ${this.#file} ${what}: ${error instanceof Error ? error.message : String(error)}\n`);
    } catch {
      // Nobody is left to be told.
    }
  }
}

function open(file: string): number {
  mkdirSync(dirname(file), { recursive: true });
  return openSync(file, 'a', 0o640);
}
