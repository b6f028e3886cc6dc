import type { Catalog } from '../../catalog/catalog.ts';
import { isCatalogError } from '../../catalog/errors.ts';
import type { ChangelogEvent, ChangelogReader } from '../../lustre/changelog-reader.ts';
import { errnoText } from '../../lustre/errno.ts';
import { RestartBudget } from '../../lustre/restart-budget.ts';
import { pause } from '../../service/bell.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';
import { RecordBatch } from '../record-batch.ts';
import { takeIn } from '../take-in.ts';
import type { ToldDirectories } from '../told-directories.ts';
import { Clearing } from './clearing.ts';
import { together } from './loops.ts';
import { openAtPosition, userGone } from './position.ts';
import type { FollowStep } from './steps.ts';

/** What one transaction takes in: it bounds memory, and how long other writers wait. */
const MOST_RECORDS = 20_000;
const MOST_MARKS = 5_000;
const FULL_WAIT_MS = 5_000;
/** An idle user's loss shows only when it clears: records don't come any more then. */
const CHECK_USER_MS = 600_000;

export interface IntakeOptions {
  readonly mdt: string;
  readonly user: string;
  readonly catalog: Catalog;
  /** Shared by the intakes of all MDTs. */
  readonly directories: ToldDirectories;
  readonly open: (start: number | undefined) => Promise<ChangelogReader>;
  /** Something was taken in. */
  readonly onTaken: (records: number) => void;
  /** It has come round, with or without records: it is not stuck. */
  readonly onTurn: () => void;
  /** Everything must be scanned. */
  readonly onRescan: (reason: string) => void;
  readonly step: (step: FollowStep) => Promise<void>;
  readonly log: Log;
}

/** How an MDT's changelog stands, for figures. */
export interface IntakeState {
  readonly mdt: string;
  readonly user: string;
  readonly applied: number | undefined;
  readonly cleared: number;
  /** The newest record that is known to be there. */
  readonly newest: number | undefined;
  /** Nothing was left to be read at the last look. */
  readonly caughtUp: boolean;
  /** Milliseconds since 1970, of the last record taken in. */
  readonly recordTime: number | undefined;
  readonly records: number;
  /** Since when the MDT does not answer. */
  readonly lostSince: number | undefined;
}

/** One MDT's records on their way into the catalog, and the clearing of those that are in. */
export class Intake {
  readonly #o: IntakeOptions;
  readonly #clearing: Clearing;
  readonly #budget = new RestartBudget();
  #reader: ChangelogReader | undefined;
  #applied: number | undefined;
  #newest: number | undefined;
  #recordTime: number | undefined;
  #records = 0;
  #ended = false;
  #ends = 0;
  #lostSince: number | undefined;

  constructor(options: IntakeOptions) {
    this.#o = options;
    const { mdt, catalog, log } = options;
    this.#clearing = new Clearing({ mdt, catalog, log, step: () => options.step('records.cleared') });
  }

  get state(): IntakeState {
    const { mdt, user } = this.#o;
    return {
      ...{ mdt, user, applied: this.#applied, cleared: this.#clearing.cleared, newest: this.#newest },
      caughtUp: this.#ended && this.#lostSince === undefined,
      ...{ recordTime: this.#recordTime, records: this.#records, lostSince: this.#lostSince },
    };
  }

  /** How often it has come to the end of what there was when the changelog was opened. */
  get ends(): number {
    return this.#ends;
  }

  /** Finds the place to begin at. Rejects when the changelog can't be read, or not be cleared. */
  async open(): Promise<void> {
    const { mdt, user, catalog, log, open } = this.#o;
    const { reader, applied } = await openAtPosition({ mdt, user, catalog, log, open });
    this.#reader = reader;
    this.#applied = applied;
    this.#newest = applied;
    if (applied !== undefined) this.#clearing.beginAt(applied);
    await this.#o.step('position.noted');
  }

  /** Takes records in until `stop`; what is taken in by then is cleared. */
  async run(stop: AbortSignal): Promise<void> {
    try {
      await together(stop, [
        (signal) => this.#readOn(signal),
        (signal) => this.#clearing.run(() => this.#reader as ChangelogReader, signal),
        (signal) => this.#checkUser(signal),
      ]);
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      if (error.code !== 'CHANGELOG_USER_GONE' && error.code !== 'CHANGELOG_RESET') throw error;
      // The next start finds out what to do; that something is missing must not be forgotten until then.
      const { mdt, user, catalog } = this.#o;
      await catalog.apply({ cursors: [{ mdt, rescan: `${mdt}: ${error.message}` }] });
      throw error.code === 'CHANGELOG_USER_GONE' ? userGone(mdt, user, error) : error;
    }
  }

  async close(): Promise<void> {
    await this.#reader?.close();
  }

  /** Reads on, with another helper when one dies. */
  async #readOn(stop: AbortSignal): Promise<void> {
    const { open, log, mdt } = this.#o;
    while (!stop.aborted) {
      try {
        return await this.#read(this.#reader as ChangelogReader, stop);
      } catch (error) {
        const helperDied = error instanceof OperatorError && error.code === 'HELPER_GONE';
        if (stop.aborted || !helperDied || !this.#budget.take()) throw error;
        log.warn('helper that reads the changelog is started again', { mdt, err: error });
        this.#reader = await open(this.#applied === undefined ? undefined : this.#applied + 1);
      }
    }
  }

  async #read(reader: ChangelogReader, stop: AbortSignal): Promise<void> {
    const { mdt } = this.#o;
    const { directories } = this.#o;
    let batch = new RecordBatch(mdt, this.#applied, directories);
    let count = 0;
    for await (const event of untilAborted(reader, stop)) {
      this.#o.onTurn();
      count += this.#take(batch, event);
      const full = count >= MOST_RECORDS || batch.size >= MOST_MARKS;
      if (count > 0 && (full || event.kind === 'end')) {
        await this.#commit(batch, count, stop);
        batch = new RecordBatch(mdt, this.#applied, directories);
        count = 0;
      }
      if (event.kind !== 'end') continue;
      this.#ended = true;
      this.#ends += 1;
    }
  }

  /** @returns how many records it was */
  #take(batch: RecordBatch, event: ChangelogEvent): number {
    const { mdt, log } = this.#o;
    switch (event.kind) {
      case 'records':
        for (const record of event.records) batch.add(record);
        this.#newest = event.records.at(-1)?.index ?? this.#newest;
        this.#recordTime = event.records.at(-1)?.time ?? this.#recordTime;
        this.#ended = false;
        return event.records.length;
      case 'malformed':
        log.error('record can’t be read', { mdt, index: event.index, type: event.type, reason: event.message });
        batch.addUnreadable(event.index);
        return 1;
      case 'lost':
        if (this.#lostSince === undefined) log.warn('MDT does not answer', { mdt, reason: errnoText(event.errno) });
        this.#lostSince ??= Date.now();
        return 0;
      case 'reopened':
        log.info('MDT answers again', { mdt });
        this.#lostSince = undefined;
        return 0;
      default:
        this.#lostSince = undefined;
        return 0;
    }
  }

  async #commit(batch: RecordBatch, count: number, stop: AbortSignal): Promise<void> {
    const { catalog, log, mdt, step } = this.#o;
    for (let told = false; ; ) {
      try {
        await takeIn(catalog, batch);
        break;
      } catch (error) {
        // Records are kept by the MDT until they are cleared: there is all the time in the world.
        if (!isCatalogError(error, 'CATALOG_FULL', 'CATALOG_BUSY') || stop.aborted) throw error;
        if (!told) log.error('records can’t be taken in, it is tried again', { mdt, err: error });
        told = true;
        this.#o.onTurn();
        await pause(FULL_WAIT_MS, stop);
      }
    }
    await step('records.applied');
    this.#records += count;
    this.#applied = batch.last;
    if (batch.rescan !== undefined) this.#o.onRescan(batch.rescan);
    if (batch.last !== undefined && batch.last > 0) this.#clearing.upTo(batch.last);
    this.#o.onTaken(count);
  }

  /** Without a user there are no records, and without records nobody would notice. */
  async #checkUser(stop: AbortSignal): Promise<void> {
    for (;;) {
      await pause(CHECK_USER_MS, stop);
      if (stop.aborted) return;
      if (this.#ended && this.#reader !== undefined) await this.#clearing.again(this.#reader).catch(passOver);
    }
  }
}

function passOver(error: unknown): void {
  if (error instanceof OperatorError && error.code !== 'HELPER_GONE') throw error;
}

/** The events, until the signal is aborted: the next one is not waited for then. */
async function* untilAborted(reader: ChangelogReader, stop: AbortSignal): AsyncGenerator<ChangelogEvent> {
  const events = reader[Symbol.asyncIterator]();
  while (!stop.aborted) {
    const result = await new Promise<IteratorResult<ChangelogEvent, undefined> | undefined>((resolve, reject) => {
      const end = () => resolve(undefined);
      stop.addEventListener('abort', end, { once: true });
      events
        .next()
        .finally(() => stop.removeEventListener('abort', end))
        .then(resolve, reject);
    });
    if (result === undefined || result.done === true) return;
    yield result.value;
  }
}
