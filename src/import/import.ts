import { stagingName } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { ImportRange } from '../catalog/types.ts';
import { compileFilters, type Filters } from '../request/filters.ts';
import { Directories } from './directories.ts';
import { type Finishing, finishDirectories, makeLinks, removeGone } from './finish.ts';
import { CatalogLedger, DryLedger } from './ledger.ts';
import { listAll, type Page } from './lister.ts';
import { PageImporter } from './page.ts';
import type { Place } from './places.ts';
import { tell } from './problems.ts';
import { closeImport, type LeftOut, openImport, sumOf } from './session.ts';
import {
  type ImportOutcome,
  type ImportPhase,
  type ImportProblem,
  type ImportProgress,
  type ImportRequest,
  type ImportSummary,
  noCounts,
} from './types.ts';
import { type ImportWorld, type LustrePart, stagedKey } from './world.ts';

export interface ImportOptions {
  readonly request: ImportRequest;
  readonly places: readonly Place[];
  /** The archive's. */
  readonly prefix: string;
  /** Of the file system; undefined only in a dry run. */
  readonly uuid: string | undefined;
  /** Of this file system already. In a dry run: if there is one, read only. */
  readonly catalog: Catalog | undefined;
  /** Without: a dry run, which makes nothing and remembers nothing. */
  readonly lustre: LustrePart | undefined;
  /** @param most names on the page */
  readonly list: (range: ImportRange, most?: number) => Promise<Page>;
  readonly head: (name: string) => Promise<BlobState | undefined>;
  readonly readBody: (blob: BlobState) => Promise<Buffer>;
  /** Begin anew, whatever was stopped before. */
  readonly restart: boolean;
  /** Ranges of the container that are listed at the same time. */
  readonly concurrency: number;
  readonly onProgress?: (progress: () => ImportProgress) => void;
  readonly onProblem?: (problem: ImportProblem) => void;
  /** Stops between two pages; the catalog knows where. */
  readonly signal: AbortSignal;
}

/**
 * Makes the namespace of a container appear in Lustre. Whatever ends it before its end (a signal, an error, a kill), the same
 * request goes on where it was. The caller sees to it that there is one at a time.
 */
export async function runImport(options: ImportOptions): Promise<ImportSummary> {
  return new Import(options).run();
}

class Import {
  readonly #options: ImportOptions;
  readonly #counts = noCounts();
  readonly #started = Date.now();
  readonly #clock = performance.now();
  readonly #filters: Filters;
  #phase: ImportPhase = 'list';
  #ranges = 0;
  /** What this import had left out before it was stopped, if it was. */
  #before: LeftOut | undefined;

  constructor(options: ImportOptions) {
    this.#options = options;
    const { include, exclude } = options.request;
    this.#filters = compileFilters({ include, exclude }, Date.now());
  }

  async run(): Promise<ImportSummary> {
    const { lustre, catalog } = this.#options;
    if (lustre === undefined || catalog === undefined) return this.#dryRun();
    const { request, places, restart, signal } = this.#options;
    const session = await openImport(catalog, request, places, restart);
    this.#before = session.before;
    const checkpoint = () => session.checkpoint(this.#counts);
    const run = await catalog.beginRun('import', request.prefixes.join(' '), { resumed: session.resumed });
    try {
      let outcome: ImportOutcome = 'stopped';
      try {
        const world = this.#world(new CatalogLedger(catalog, request.archive, checkpoint), session.began);
        await this.#work({ ...world, lustre, catalog });
        await closeImport(catalog);
        outcome = this.#outcome();
      } catch (error) {
        // A signal is no failure: what it interrupted is where it was.
        if (!signal.aborted) throw error;
      }
      const summary = this.#summary(outcome, session.resumed);
      await catalog.endRun(run, outcome, detailOf(summary));
      return summary;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // What went wrong first counts: the catalog itself may be what fails.
      await catalog.endRun(run, 'failed', { error: message }).catch(() => undefined);
      throw error;
    }
  }

  async #work(world: Finishing): Promise<void> {
    const { places, head, request } = this.#options;
    const directories = new Directories(world.lustre, request, (fids) => world.catalog.present(fids));
    const pages = new PageImporter(world, this.#filters, directories);
    await this.#markers(pages);
    await this.#staged(world);
    await this.#list(world, pages);
    this.#phase = 'links';
    await makeLinks(world, directories);
    this.#phase = 'remove';
    if (request.delete) await removeGone(world, places, head);
    this.#phase = 'directories';
    await finishDirectories(world, this.#options.head);
  }

  async #dryRun(): Promise<ImportSummary> {
    const { catalog, request, places } = this.#options;
    const world = this.#world(new DryLedger(catalog, request.archive), Math.floor(this.#started / 1000));
    await world.ledger.commit({ imports: { ranges: places.map(({ start }) => ({ place: start, flat: false })) } });
    const pages = new PageImporter(world, this.#filters, undefined);
    await this.#markers(pages);
    await this.#staged(world);
    await this.#list(world, pages);
    return this.#summary(this.#outcome(), false);
  }

  /** What says something of the named directories themselves, and of those above. */
  async #markers(pages: PageImporter): Promise<void> {
    const { places, head } = this.#options;
    const names = [...new Set(places.flatMap(({ markers }) => markers))].sort();
    const blobs: BlobState[] = [];
    for (const name of names) {
      const blob = await head(name);
      // Above a directory that was named only markers count.
      const isNamed = places.some(({ markers }) => markers.at(-1) === name);
      if (blob !== undefined && (isNamed || /^true$/i.test(blob.metadata['hdi_isfolder'] ?? ''))) blobs.push(blob);
    }
    if (blobs.length > 0) await pages.take(blobs, {});
  }

  /**
   * A copy in staging is that of a file whose name was just changing, or a later version of one that could not be written at its place.
   * Where it belongs, only its file system knew.
   */
  async #staged(world: ImportWorld): Promise<void> {
    const { places, prefix, list, uuid } = this.#options;
    const isWhole = places.some(({ start }) => start === '' || start === `${prefix}/`);
    const place = stagingName(prefix, '');
    for (let token: string | undefined, more = true; more; ) {
      const page: Page = await list({ place, flat: true, token });
      for (const { name, identity } of page.blobs) {
        if (identity === undefined || identity.fs === uuid) continue;
        world.staged.set(stagedKey(identity), { name, seq: identity.generation?.seq ?? 0 });
        if (!isWhole) continue;
        const detail = `it is the copy of ${identity.fid}, which was not at its place yet when its file system was lost: it is not imported`;
        tell(world, { outcome: 'refused', blob: name, code: 'staged', detail });
      }
      token = page.next;
      more = token !== undefined;
    }
  }

  #list({ ledger }: ImportWorld, pages: PageImporter): Promise<void> {
    const { prefix, list, concurrency, signal } = this.#options;
    const root = prefix === '' ? 0 : prefix.length + 1;
    return listAll({
      ...{ ledger, prefix, list, concurrency, signal },
      wanted: (start) => this.#filters.directory(Buffer.from(start.slice(root, -1))),
      take: async (blobs, progress) => {
        await pages.take(blobs, progress);
        this.#ranges = await ledger.rangeCount();
        this.#options.onProgress?.(() => this.#progress());
      },
    });
  }

  #world(ledger: ImportWorld['ledger'], began: number): ImportWorld {
    const { request, uuid, prefix, lustre, catalog, readBody, onProblem, signal } = this.#options;
    return {
      ...{ request, uuid, prefix, ledger, lustre, catalog, readBody, began, signal },
      counts: this.#counts,
      staged: new Map(),
      tell: (problem) => onProblem?.(problem),
      now: () => Math.floor(Date.now() / 1000),
    };
  }

  #outcome(): ImportOutcome {
    const { conflicts, refused, failed } = this.#leftOut();
    return conflicts + refused + failed > 0 ? 'partial' : 'complete';
  }

  #leftOut(): LeftOut {
    return this.#before === undefined ? this.#counts : sumOf(this.#before, this.#counts);
  }

  #progress(): ImportProgress {
    const elapsed = performance.now() - this.#clock;
    return { ...this.#counts, phase: this.#phase, ranges: this.#ranges, elapsed };
  }

  #summary(outcome: ImportOutcome, resumed: boolean): ImportSummary {
    const elapsed = performance.now() - this.#clock;
    const dryRun = this.#options.lustre === undefined;
    const { conflicts, refused, failed } = this.#leftOut();
    const left = { conflicts, refused, failed };
    return { ...this.#counts, ...left, outcome, resumed, dryRun, started: this.#started, elapsed };
  }
}

function detailOf({ outcome: _, bytes, ...counts }: ImportSummary): Readonly<Record<string, unknown>> {
  return { ...counts, bytes: String(bytes) };
}
