import type { Readable } from 'node:stream';
import { waitUntil } from './wait.ts';

/** One line that a program wrote: as it stands, and as an object where it is JSON. */
export interface LogLine {
  readonly text: string;
  readonly record: Readonly<Record<string, unknown>> | undefined;
}

/** What to wait for: the value of `event` or `msg` of a JSON line, a pattern of the raw line, or anything else. */
export type LogMatch = string | RegExp | ((line: LogLine) => boolean);

function matches(line: LogLine, match: LogMatch): boolean {
  if (typeof match === 'function') return match(line);
  if (match instanceof RegExp) return match.test(line.text);
  return line.record?.['event'] === match || line.record?.['msg'] === match;
}

/** The lines of a running program, in the order of their coming. */
export class ProgramLog {
  readonly lines: LogLine[] = [];

  /** Takes in a stream of the program; several streams give one log. */
  follow(stream: Readable): void {
    let rest = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const text of parts) this.#add(text);
    });
    stream.on('end', () => {
      if (rest !== '') this.#add(rest);
    });
  }

  #add(text: string): void {
    let record: LogLine['record'];
    if (text.startsWith('{')) {
      try {
        record = JSON.parse(text) as LogLine['record'];
      } catch {
        record = undefined;
      }
    }
    this.lines.push({ text, record });
  }

  /** The log as text, for messages of failed tests. */
  text(): string {
    return this.lines.map((line) => line.text).join('\n');
  }

  /** All lines so far that match, from line number `after` on. */
  find(match: LogMatch, after = 0): LogLine[] {
    return this.lines.slice(after).filter((line) => matches(line, match));
  }

  /** The first line that matches, from line number `after` on (a former `lines.length`); waits for it. */
  waitFor(match: LogMatch, options: { after?: number; timeout?: number } = {}): Promise<LogLine> {
    return waitUntil(`the program logs ${String(match)}`, () => this.find(match, options.after)[0], {
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      interval: 20,
      detail: () => this.text().slice(-6_000),
    });
  }
}
