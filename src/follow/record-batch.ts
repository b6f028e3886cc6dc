import type { CatalogBatch, Link, MarkPut } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import type { ChangelogRecord } from '../lustre/changelog-record.ts';
import { HINT, MAYBE_COPIED } from './hints.ts';
import { markRecord } from './marks-of.ts';
import { ToldDirectories } from './told-directories.ts';

interface Collected {
  hints: number;
  /** Milliseconds since 1970 of the oldest record. */
  since: number;
  last: Link | undefined;
  /** Directories, among those that were made not long ago, in which it had a name. */
  within?: Fid[];
}

/**
 * Records of one MDT on their way into the catalog. They become marks, one for each file however many its records; which
 * order they came in does not matter, so replaying, splitting and mixing with other MDTs costs work, nothing else.
 */
export class RecordBatch {
  readonly mdt: string;
  readonly #from: number | undefined;
  readonly #directories: ToldDirectories;
  readonly #marks = new Map<Fid, Collected>();
  readonly #types = new Map<number, number>();
  #last: number | undefined;
  #recordTime: number | undefined;
  #rescan: string | undefined;

  /**
   * @param applied the last record that is in the catalog; undefined: this is the beginning, and none is missed
   * @param directories what earlier batches, of all MDTs, have told
   */
  constructor(mdt: string, applied: number | undefined, directories = new ToldDirectories()) {
    this.mdt = mdt;
    this.#from = applied;
    this.#directories = directories;
    this.#last = applied;
  }

  /** Files that are marked: what bounds a batch in memory. */
  get size(): number {
    return this.#marks.size;
  }

  /** The last record that is taken in, by this batch or before. */
  get last(): number | undefined {
    return this.#last;
  }

  /** Why everything must be scanned again: records are missing. */
  get rescan(): string | undefined {
    return this.#rescan;
  }

  /** Takes a record in. Those that are in the catalog already are passed over. */
  add(record: ChangelogRecord): void {
    if (!this.#advance(record.index)) return;
    this.#types.set(record.type, (this.#types.get(record.type) ?? 0) + 1);
    this.#recordTime = record.time;
    markRecord(record, (fid, hints, last) => this.#mark(fid, hints, record.time, last));
    this.#directories.learn(record);
    const { fid, parent, sourceFid, sourceParent } = record;
    this.#place(fid, parent);
    this.#place(sourceFid, parent);
    this.#place(sourceFid, sourceParent);
  }

  /** Takes in that a record can't be read: nobody knows what it said. */
  addUnreadable(index: number): void {
    if (this.#advance(index)) this.#rescan ??= `record ${index} of ${this.mdt} can’t be read`;
  }

  /**
   * Files that were made and lost their last name within the batch, and never met HSM, nor did what was in them: as far
   * as this MDT knows they left nothing behind. Those that the catalog does not have either need no look.
   */
  passing(): Fid[] {
    const both = HINT.BORN | HINT.UNLINKED;
    const holding = this.#holding();
    return [...this.#marks]
      .filter(([fid, { hints }]) => (hints & both) === both && (hints & MAYBE_COPIED) === 0 && !holding.has(fid))
      .map(([fid]) => fid);
  }

  /** What goes into the catalog. @param known those of `passing` that the catalog has */
  changes(known: ReadonlySet<Fid>): CatalogBatch {
    if (this.#last === undefined || this.#last === this.#from) return {};
    const passing = new Set(this.passing().filter((fid) => !known.has(fid)));
    for (const [fid, { name, since }] of this.#holding()) this.#mark(fid, HINT.HELD_COPY, since, name);
    const marks: MarkPut[] = [];
    for (const [fid, { hints, since, last }] of this.#marks) {
      if (passing.has(fid)) continue;
      marks.push({ fid, hints, since: Math.floor(since / 1000), ...(last === undefined ? {} : { last }) });
    }
    const cursor = {
      mdt: this.mdt,
      applied: this.#last,
      types: this.#types,
      ...(this.#recordTime === undefined ? {} : { recordTime: this.#recordTime }),
      ...(this.#rescan === undefined ? {} : { rescan: this.#rescan }),
    };
    return { marks, cursors: [cursor] };
  }

  /** Indexes count up by one: where one is missing, so are records. @returns false: it is in the catalog already */
  #advance(index: number): boolean {
    const last = this.#last;
    if (last !== undefined && index <= last) return false;
    if (last !== undefined && index > last + 1) {
      const missing = index === last + 2 ? `record ${last + 1}` : `records ${last + 1} to ${index - 1}`;
      this.#rescan ??= `${missing} of ${this.mdt} ${index === last + 2 ? 'is' : 'are'} missing`;
    }
    this.#last = index;
    return true;
  }

  /** Notes in which directory that is not long there a file had a name. */
  #place(fid: Fid | null, parent: Fid | null): void {
    if (fid === null || parent === null || !this.#directories.has(parent)) return;
    const mark = this.#marks.get(fid);
    if (mark === undefined) return;
    if (mark.within === undefined) mark.within = [parent];
    else if (!mark.within.includes(parent)) mark.within.push(parent);
  }

  /** Directories that are not long there in which something met HSM, with those above them: they may have markers. */
  #holding(): Map<Fid, { readonly name: Link; readonly since: number }> {
    const holding = new Map<Fid, { readonly name: Link; readonly since: number }>();
    for (const { hints, within, since } of this.#marks.values()) {
      if (within === undefined || (hints & MAYBE_COPIED) === 0) continue;
      for (const directory of within) {
        for (let at = directory; !holding.has(at); ) {
          const name = this.#directories.nameOf(at);
          if (name === undefined) break;
          holding.set(at, { name, since });
          at = name.parent;
        }
      }
    }
    return holding;
  }

  #mark(fid: Fid, hints: number, time: number, last: Link | undefined): void {
    const mark = this.#marks.get(fid);
    if (mark === undefined) {
      this.#marks.set(fid, { hints, since: time, last });
      return;
    }
    mark.last = last ?? mark.last;
    mark.hints |= hints;
    if (time < mark.since) mark.since = time;
  }
}
