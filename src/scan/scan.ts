import type { Catalog } from '../catalog/catalog.ts';
import type { MarkPut, Stamp } from '../catalog/types.ts';
import type { Timing } from '../follow/decide.ts';
import { type FileSource, refresh } from '../follow/refresh.ts';
import { markUnseen, scanIn } from '../follow/scan-in.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { ERRNO } from '../lustre/errno.ts';
import { pathFields } from '../lustre/printable.ts';
import type { ScanBatch, Scanner } from '../lustre/scanner.ts';
import type { Adopter } from './adopt.ts';
import { closeSession, openSession, type ScanSession } from './session.ts';
import { ScanTally } from './tally.ts';
import type { ScanOutcome, ScanPhase, ScanProblem, ScanProgress, ScanSummary, ScanTarget } from './types.ts';

/** Directories that appear while the scan goes on, and those that could not be read, are gone through so often. */
const ROUNDS = 4;
/** Marks in one look, and how often all of them: what was in a dead directory is marked when it is found dead. */
const LOOK = 1_000;
const LOOK_ROUNDS = 10;

export interface ScanOptions {
  /** Of this file system already. */
  readonly catalog: Catalog;
  readonly target: ScanTarget;
  /** Begin anew, whatever was stopped before. */
  readonly restart?: boolean;
  readonly source: FileSource;
  readonly startScanner: () => Promise<Pick<Scanner, 'walk' | 'close'>>;
  /** Rejects when the mounted file system is not the catalog's. */
  readonly checkFileSystem: () => Promise<void>;
  readonly timing: () => Timing;
  readonly onProgress?: (progress: () => ScanProgress) => void;
  readonly onProblem?: (problem: ScanProblem) => void;
  /** Binds files that lemur archived to their blobs, before they are put into the catalog. */
  readonly adopter?: Adopter;
  /** Called after steps, for tests. */
  readonly step?: (step: ScanStep) => Promise<void>;
  /** Stops between two batches; the catalog knows where. */
  readonly signal: AbortSignal;
}

/** What tests may hold a scan at: a batch is in the catalog. */
export type ScanStep = 'scan.batch';

/**
 * Fills or refreshes the catalog. Whatever ends it before its end (a signal, an error, a kill), the same scan goes on where
 * it was. What it does not meet is looked at by FID: only ENOENT under the catalog's file system means dead.
 * The caller sees to it that there is one scan at a time; followers may be at work beside it.
 */
export async function runScan(options: ScanOptions): Promise<ScanSummary> {
  const { catalog, target } = options;
  const session = await openSession(catalog, target, options.restart ?? false, options.adopter !== undefined);
  const run = await catalog.beginRun('scan', `/${target.path.toString('utf8')}`, { resumed: session.resumed });
  const scan = new Scan(options, session);
  try {
    const summary = await scan.run();
    await catalog.endRun(run, summary.outcome, detailOf(summary));
    return summary;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // What went wrong first counts: the catalog itself may be what fails.
    await catalog.endRun(run, 'failed', { error: message }).catch(() => undefined);
    throw error;
  }
}

function detailOf({ path, outcome: _, adoption, ...counts }: ScanSummary): Readonly<Record<string, unknown>> {
  const adopted = adoption === undefined ? {} : { adoption: { ...adoption, bytes: Number(adoption.bytes) } };
  return { ...counts, ...adopted, ...pathFields(path) };
}

class Scan {
  readonly #options: ScanOptions;
  readonly #session: ScanSession;
  readonly #tally = new ScanTally();
  readonly #started = Date.now();
  readonly #clock = performance.now();
  #phase: ScanPhase = 'walk';

  constructor(options: ScanOptions, session: ScanSession) {
    this.#options = options;
    this.#session = session;
  }

  async run(): Promise<ScanSummary> {
    const { catalog, target } = this.#options;
    await this.#walkAll();
    this.#phase = 'look';
    if (!this.#stopped) await this.#markUnseen();
    await this.#look();
    this.#phase = 'walk';
    // Directories that were found by their FIDs.
    await this.#walkLeft();
    const { unreadable, failed } = this.#tally.counts();
    const outcome: ScanOutcome = this.#stopped ? 'stopped' : unreadable + failed > 0 ? 'partial' : 'complete';
    if (outcome !== 'stopped') {
      const whole = outcome === 'complete' && target.directory === ROOT_FID;
      await closeSession(catalog, this.#session, whole ? 'complete' : 'partial');
    }
    const { path } = target;
    const { elapsed } = this.#progress();
    const { resumed } = this.#session;
    const { adopter } = this.#options;
    const adoption = adopter === undefined ? {} : { adoption: adopter.counts() };
    return { ...this.#tally.counts(), ...adoption, path, resumed, outcome, started: this.#started, elapsed };
  }

  get #stopped(): boolean {
    return this.#options.signal.aborted;
  }

  async #walkAll(): Promise<void> {
    if (!this.#session.resumed) await this.#walk([this.#options.target.directory]);
    await this.#walkLeft();
  }

  async #walkLeft(): Promise<void> {
    for (let round = 0; round < ROUNDS && !this.#stopped; round += 1) {
      const left = await this.#left();
      if (left.length === 0) return;
      // Those that could not be read are tried once more, not again and again.
      if (round > 0 && left.every((fid) => this.#tally.unreadable.has(fid))) return;
      await this.#walk(left);
    }
  }

  async #left(): Promise<Fid[]> {
    // Of the scan that this one is inside of, the catalog has what is left, too.
    if (this.#session.inside) return [...this.#tally.unreadable];
    const left: Fid[] = [];
    for await (const fids of this.#options.catalog.unwalked()) left.push(...fids);
    return left;
  }

  async #walk(roots: readonly Fid[]): Promise<void> {
    const { signal, startScanner } = this.#options;
    if (this.#stopped) return;
    const scanner = await startScanner();
    // A walk that waits for Lustre is not waited for.
    const end = () => void scanner.close().catch(() => undefined);
    signal.addEventListener('abort', end);
    try {
      for await (const batch of scanner.walk(roots)) {
        if (this.#stopped) break;
        await this.#take(batch);
      }
    } catch (error) {
      if (!this.#stopped) throw error;
    } finally {
      signal.removeEventListener('abort', end);
      await scanner.close();
    }
  }

  async #take(batch: ScanBatch): Promise<void> {
    const { catalog, checkFileSystem, timing, onProblem, adopter } = this.#options;
    // Under an unmounted file system directories seem to be gone: this batch counts only if it is still there.
    await checkFileSystem();
    await adopter?.take(batch.entries);
    const before = new Set(this.#tally.unreadable);
    this.#tally.walked(batch, await scanIn(catalog, batch, this.#session.begun, timing()));
    for (const { parent, name, errno } of batch.failures) onProblem?.({ directory: parent, name, errno });
    for (const { fid, errno } of batch.directories) {
      if (errno !== 0 && errno !== ERRNO.ENOENT && !before.has(fid)) onProblem?.({ directory: fid, errno });
    }
    this.#tell();
    await this.#options.step?.('scan.batch');
  }

  /** What nobody has seen since the scan began is to be looked at. */
  async #markUnseen(): Promise<void> {
    const { catalog, target, timing } = this.#options;
    const { begun } = this.#session;
    if (target.directory === ROOT_FID) await markUnseen(catalog, begun, timing());
    else await markUnseenBelow(catalog, target.directory, begun, timing());
  }

  /** Looks at all that is marked, whoever marked it: without a follower, nobody else does. */
  async #look(): Promise<void> {
    const { catalog, source, timing } = this.#options;
    for (let round = 0; round < LOOK_ROUNDS && !this.#stopped; round += 1) {
      if ((await catalog.markStats()).count === 0) return;
      let after: Fid | undefined;
      do {
        const done = await refresh(catalog, source, { after, limit: LOOK, timing });
        this.#tally.looked(done);
        this.#tell();
        after = done.next;
      } while (after !== undefined && !this.#stopped);
    }
  }

  #tell(): void {
    this.#options.onProgress?.(() => this.#progress());
  }

  #progress(): ScanProgress {
    return { ...this.#tally.counts(), phase: this.#phase, elapsed: performance.now() - this.#clock };
  }
}

/** `markUnseen` for a part of the tree, as the catalog has it. */
async function markUnseenBelow(catalog: Catalog, directory: Fid, begun: Stamp, timing: Timing): Promise<void> {
  const since = Math.floor(timing.now / 1000);
  for await (const page of catalog.subtree(directory)) {
    const marks = page
      .filter(({ entry }) => entry === undefined || entry.seen <= begun)
      .map(({ fid }): MarkPut => ({ fid, hints: 0, since }));
    if (marks.length > 0) await catalog.apply({ marks });
  }
}
