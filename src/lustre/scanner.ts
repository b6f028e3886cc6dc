import type { Fid } from '../identity/fid.ts';
import { type EntryRow, entryName, stateOf } from './entry-row.ts';
import { type HelperEvent, type HelperOptions, HelperProcess } from './helper.ts';
import type { ScanEntry } from './scan-entry.ts';

/** A directory whose listing is over. Everything that was found in it has been told before. */
export interface ScannedDirectory {
  readonly fid: Fid;
  /** Entries that were told. */
  readonly entries: number;
  /**
   * 0: what was not told is not in it (or came or went meanwhile). Otherwise a positive errno: it was read in part or
   * not at all, which proves nothing about what is missing; ENOENT: it is gone itself.
   */
  readonly errno: number;
}

/** An entry that is there, and could not be looked at. */
export interface ScanFailure {
  readonly parent: Fid;
  readonly name: Buffer;
  readonly errno: number;
}

/** A line of the helper's: some entries, and the directories that are complete with them. */
export interface ScanBatch {
  readonly entries: readonly ScanEntry[];
  readonly directories: readonly ScannedDirectory[];
  readonly failures: readonly ScanFailure[];
}

export interface ScanTotals {
  readonly directories: number;
  /** Of them, those that could not be read, or not to the end. */
  readonly unreadable: number;
  readonly entries: number;
  /** Names that were gone when they were looked at. */
  readonly gone: number;
  /** Directories on which something else is mounted: not entered. */
  readonly foreign: number;
  readonly failed: number;
}

export interface ScanOptions extends Omit<HelperOptions, 'mode' | 'args' | 'eventBuffer'> {}

const LINES_HELD = 4;
/** FIDs in one request. */
const GIVEN_AT_ONCE = 1000;

/**
 * A parallel walk by the helper (docs/internals/helper-protocol.md). What a directory contains is told once for each
 * time that it is walked; the order of directories is any.
 *
 * To go on after a crash, keep of each directory that was told as an entry whether it was told as complete, and give
 * those that were not: they and what is below them are walked.
 */
export class Scanner {
  readonly #helper: HelperProcess;
  #totals: ScanTotals = { directories: 0, unreadable: 0, entries: 0, gone: 0, foreign: 0, failed: 0 };

  private constructor(helper: HelperProcess) {
    this.#helper = helper;
  }

  static async start(options: ScanOptions): Promise<Scanner> {
    return new Scanner(await HelperProcess.start({ ...options, mode: 'scan', args: [], eventBuffer: LINES_HELD }));
  }

  get pid(): number {
    return this.#helper.pid;
  }

  /** Of what the helper has walked until it last had nothing to do. */
  get totals(): ScanTotals {
    return this.#totals;
  }

  /**
   * Walks these directories and everything below them; ends when that is done. One walk at a time. When the reader is
   * slow, the walk waits. Ends with an error when the helper dies, or a FID cannot be given.
   */
  async *walk(roots: Iterable<Fid>): AsyncGenerator<ScanBatch, void> {
    // In rounds: while a request waits for its reply, nothing holds the helper's lines back.
    for (const fids of runsOf(roots, GIVEN_AT_ONCE)) {
      const { given } = await this.#helper.request<{ given: number }>('walk', { fids });
      for await (const event of this.#helper.events) {
        if (event.t === 'entries') yield batchOf(event);
        if (event.t !== 'idle') continue;
        this.#totals = totalsOf(event);
        if (event['given'] === given) break;
      }
    }
  }

  async close(): Promise<void> {
    await this.#helper.close();
  }
}

function* runsOf<T>(items: Iterable<T>, length: number): Generator<T[]> {
  let run: T[] = [];
  for (const item of items) {
    run.push(item);
    if (run.length < length) continue;
    yield run;
    run = [];
  }
  if (run.length > 0) yield run;
}

type Group = readonly [parent: Fid, rows: readonly EntryRow[]];

function batchOf(event: HelperEvent): ScanBatch {
  const entries: ScanEntry[] = [];
  for (const [parent, rows] of event['list'] as readonly Group[]) {
    for (const row of rows) entries.push({ ...stateOf(row), parent, name: entryName(row[1]) });
  }
  const directories = (event['directories'] as readonly (readonly [Fid, number, number])[]).map(
    ([fid, told, rc]): ScannedDirectory => ({ fid, entries: told, errno: rc === 0 ? 0 : -rc }),
  );
  const failures = (event['failed'] as readonly (readonly [Fid, EntryRow[1], number])[]).map(
    ([parent, name, rc]): ScanFailure => ({ parent, name: entryName(name), errno: -rc }),
  );
  return { entries, directories, failures };
}

function totalsOf(event: HelperEvent): ScanTotals {
  const number = (field: keyof ScanTotals): number => Number(event[field]);
  return {
    directories: number('directories'),
    unreadable: number('unreadable'),
    entries: number('entries'),
    gone: number('gone'),
    foreign: number('foreign'),
    failed: number('failed'),
  };
}
