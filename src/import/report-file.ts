import { closeSync, openSync, writeSync } from 'node:fs';
import { OperatorError } from '../service/errors.ts';
import type { ImportProblem } from './types.ts';

/** Bytes that are kept before they are written. */
const HELD = 64 * 1024;

/** The report: a JSON line for each problem, in a file that may grow to any length. */
export class ReportFile {
  readonly #file: string;
  readonly #descriptor: number;
  #lines: string[] = [];
  #held = 0;

  /**
   * @param append lines of an import that goes on come behind those that it had
   * @throws OperatorError when it can't be made
   */
  constructor(file: string, append: boolean) {
    this.#file = file;
    this.#descriptor = this.#guarded(() => openSync(file, append ? 'a' : 'w', 0o640));
  }

  /** @throws OperatorError when it can't be written: what it is for must not be lost */
  add(problem: ImportProblem): void {
    const line = `${JSON.stringify(problem)}\n`;
    this.#lines.push(line);
    this.#held += line.length;
    if (this.#held >= HELD) this.flush();
  }

  flush(): void {
    const bytes = Buffer.from(this.#lines.join(''));
    [this.#lines, this.#held] = [[], 0];
    this.#guarded(() => {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
    });
  }

  close(): void {
    try {
      this.flush();
    } finally {
      closeSync(this.#descriptor);
    }
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new OperatorError(`The report ${this.#file} can't be written: ${(error as Error).message}.`, {
        code: 'REPORT_UNWRITABLE',
        hint: 'Name another file with --report. The same command goes on where this one stopped.',
      });
    }
  }
}
