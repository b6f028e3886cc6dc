import { existsSync } from 'node:fs';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import type { Log } from '../service/log.ts';
import type { NeedsLook } from './context.ts';

/** What comes within this time is one transaction. */
const GATHER_MS = 200;
/** More are not kept: the sweep finds the rest. */
const MOST = 10_000;

/**
 * Tells the follower of this machine, by the catalog in the same state directory, which blobs may be nobody's or at a name
 * that is not right any more. Where there is no catalog, or it does not take it, the changelog tells most of it, and the
 * sweep the rest: the copytool itself never waits, nor fails for it.
 */
export class LookNotes {
  readonly #file: string;
  readonly #log: Log;
  #catalog: Catalog | undefined;
  #waiting: NeedsLook[] = [];
  #writing: Promise<void> = Promise.resolve();

  /** @param file the catalog, which need not be there */
  constructor(file: string, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  /** That a name was taken is told by the HSM record of its archive. */
  note(look: NeedsLook): void {
    if (look.reason === 'in-the-way' || this.#waiting.length >= MOST) return;
    this.#waiting.push(look);
    if (this.#waiting.length > 1) return;
    setTimeout(() => {
      this.#writing = this.#writing.then(() => this.#write());
    }, GATHER_MS).unref();
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#write();
    this.#catalog?.close();
    this.#catalog = undefined;
  }

  async #write(): Promise<void> {
    const looks = this.#waiting;
    this.#waiting = [];
    if (looks.length === 0 || !existsSync(this.#file)) return;
    const since = Math.floor(Date.now() / 1000);
    try {
      this.#catalog ??= openCatalog({ file: this.#file });
      await this.#catalog.apply({
        blobs: looks.flatMap(({ fid, archive, blob: name }) =>
          name === undefined ? [] : [{ fid, blob: { archive, name, kind: 'file' as const } }],
        ),
        marks: looks.map(({ fid }) => ({ fid, hints: 0, since })),
      });
    } catch (error) {
      this.#log.debug('follower’s catalog was not told of files', { files: looks.length, err: error });
      this.#catalog?.close();
      this.#catalog = undefined;
    }
  }
}
