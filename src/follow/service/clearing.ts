import type { Catalog } from '../../catalog/catalog.ts';
import { isCatalogError } from '../../catalog/errors.ts';
import type { ChangelogReader } from '../../lustre/changelog-reader.ts';
import { Bell, pause } from '../../service/bell.ts';
import { ErrnoError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';

/** Records are cleared so often at most: each time costs the MDT a synchronous write. */
const EVERY_MS = 1_000;
const AGAIN_MS = 5_000;

/** Tells an MDT what is durably taken in, in the background, a while after it is; at the end, all of it. */
export class Clearing {
  readonly #mdt: string;
  readonly #catalog: Catalog;
  readonly #log: Log;
  readonly #step: () => Promise<void>;
  readonly #bell = new Bell();
  #due = 0;
  /** The last index that the MDT was sent, and the last that it has answered. */
  #sent = 0;
  #cleared = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(o: { mdt: string; catalog: Catalog; log: Log; step: () => Promise<void> }) {
    this.#mdt = o.mdt;
    this.#catalog = o.catalog;
    this.#log = o.log;
    this.#step = o.step;
  }

  /** The last record that the MDT was told to forget, by this process. */
  get cleared(): number {
    return this.#cleared;
  }

  /** Up to here, the MDT was told before. */
  beginAt(index: number): void {
    this.#sent = index;
    this.#cleared = index;
  }

  /** Up to here, everything is in the catalog. */
  upTo(index: number): void {
    this.#due = Math.max(this.#due, index);
    this.#bell.ring();
  }

  /**
   * Clears until `stop`, and then what is left. Rejects when the user is gone; waits out everything that passes.
   * @param reader the one that is open just now
   */
  async run(reader: () => ChangelogReader, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#bell.wait(Number.POSITIVE_INFINITY, stop);
      await this.#clear(reader(), stop);
      await pause(EVERY_MS, stop);
    }
    await this.#clear(reader(), stop);
  }

  /** Tells the MDT once more what it was told last, if that was anything. Rejects when the user is gone. */
  async again(reader: ChangelogReader): Promise<void> {
    await this.#send(reader, () => this.#sent);
  }

  /**
   * One at a time, and never an earlier one, even if the later one had no answer: an index below the one that the MDT has
   * is refused as if the user were gone.
   */
  async #send(reader: ChangelogReader, what: () => number): Promise<void> {
    const mine = this.#turn.then(async () => {
      const index = what();
      if (index === 0) return;
      this.#sent = index;
      await reader.clear(index);
      this.#cleared = index;
    });
    this.#turn = mine.catch(() => undefined);
    await mine;
  }

  async #clear(reader: ChangelogReader, stop: AbortSignal): Promise<void> {
    const index = this.#due;
    if (index <= this.#cleared) return;
    try {
      await this.#send(reader, () => index);
    } catch (error) {
      // The MDT does not answer, or the helper has died: it comes later, and until then its records stay, that is all.
      if (!(error instanceof ErrnoError) && !isGone(error)) throw error;
      this.#log.debug('changelog not cleared, it is tried again', { mdt: this.#mdt, err: error });
      await pause(AGAIN_MS, stop);
      this.#bell.ring();
      return;
    }
    await this.#note(index);
    await this.#step();
  }

  /** For people: a start goes by what is taken in. A disk that is full has it noted with the next ones. */
  async #note(index: number): Promise<void> {
    try {
      await this.#catalog.apply({ cursors: [{ mdt: this.#mdt, cleared: index }] });
    } catch (error) {
      if (!isCatalogError(error, 'CATALOG_FULL', 'CATALOG_BUSY')) throw error;
      this.#log.debug('clearing could not be noted', { mdt: this.#mdt, err: error });
    }
  }
}

/** The helper's own end, which the reading sees, too. */
function isGone(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === 'HELPER_GONE';
}
