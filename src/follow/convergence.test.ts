import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collect, scratch } from '../../test/support/catalog.ts';
import { ModelFileSystem } from '../../test/support/model-file-system.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import type { Stamp, Tombstone } from '../catalog/types.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import type { Fresh } from './fresh.ts';
import { REASON } from './reasons.ts';
import { RecordBatch } from './record-batch.ts';
import { refresh } from './refresh.ts';
import { batchOfFresh, markUnseen } from './scan-in.ts';
import { takeIn } from './take-in.ts';
import { ToldDirectories } from './told-directories.ts';

const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
const MDTS = ['fs-MDT0000', 'fs-MDT0001'];

const number = fc.nat(1000);
const name = fc.constantFrom('a', 'b', 'c');
// Few directories and names, so that things meet.
const where = fc.nat(2);
const change = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constant('make'), fc.constant('file'), where, name) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('make'), fc.constantFrom('dir', 'symlink', 'fifo'), where, name) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('link'), number, where, name) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('remove'), number, number) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('rename'), number, where, name) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('chmod'), number, fc.constantFrom(0o600, 0o644)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('write'), number, number) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom('archive', 'archive', 'release', 'restore', 'hold'), number) },
);
const step = fc.oneof(
  { weight: 8, arbitrary: change },
  // Of an MDT, from so many records before what is taken in, so many records.
  { weight: 3, arbitrary: fc.tuple(fc.constant('deliver'), fc.nat(1), fc.nat(6), fc.integer({ min: 1, max: 12 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('refresh'), fc.integer({ min: 1, max: 6 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('scan', 'closeAll')) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom('scanRead', 'scanPut'), fc.integer({ min: 1, max: 4 })) },
);
type Step = readonly (string | number)[];

/** The follower's and the scan's course over a model, step by step. */
class Course {
  readonly model: ModelFileSystem;
  readonly catalog: Catalog;
  /** What was there before the first record that is read. */
  readonly untold = new Set<Fid>();
  readonly #directories = new ToldDirectories();
  #round: Fid | undefined;
  #begun: Stamp | undefined;
  #met = new Set<Fid>();
  #read: Fresh[] = [];

  constructor(model: ModelFileSystem, catalog: Catalog) {
    this.model = model;
    this.catalog = catalog;
  }

  async do([what, ...values]: Step): Promise<void> {
    const [one, two] = values as number[];
    switch (what) {
      case 'deliver':
        return this.deliver(one as number, two as number, values[2] as number);
      case 'refresh':
        return this.refresh(one as number);
      case 'scan':
        return this.beginScan();
      case 'scanRead':
        return this.scanRead(one as number);
      case 'scanPut':
        return this.scanPut(one as number);
      default:
        (this.model[what as 'make'] as (...values: unknown[]) => void).apply(this.model, values);
    }
  }

  /** Nobody has read what was told so far, and nobody will. */
  forgetRecords(): void {
    for (const log of this.model.logs) log.length = 0;
    for (const fid of this.model.ever) if (fid !== ROOT_FID) this.untold.add(fid);
  }

  /**
   * Whether the changelog of its own MDT tells where something was. Another MDT's may come later, and of what there was
   * before, the first scan tells, and the sweep after it.
   */
  isTold(fid: Fid): boolean {
    const { model, untold } = this;
    return [fid, ...model.above(fid)].every((one) => !untold.has(one) && model.mdtOf(one) === model.mdtOf(fid));
  }

  async deliver(mdt: number, back: number, count: number): Promise<void> {
    const applied = await this.#applied(mdt);
    const batch = new RecordBatch(MDTS[mdt] as string, applied === 0 ? undefined : applied, this.#directories);
    const from = Math.max(0, applied - back);
    for (const record of (this.model.logs[mdt] ?? []).slice(from, applied + count)) batch.add(record);
    await takeIn(this.catalog, batch);
  }

  async refresh(limit: number): Promise<void> {
    const done = await refresh(this.catalog, this.model, { after: this.#round, limit, timing });
    this.#round = done.next;
  }

  async beginScan(): Promise<void> {
    this.#begun = await this.catalog.beginScan();
    this.#met = new Set();
    this.#read = [];
  }

  scanRead(count: number): void {
    // Nothing is read, nor put, by a scan that has not begun.
    if (this.#begun === undefined) return;
    // What is made while it goes on may be met, too, and the walk comes from one side or the other.
    const left = [...this.model.things.keys()].filter((fid) => !this.#met.has(fid));
    for (const fid of count % 2 === 0 ? left.slice(0, count) : left.slice(-count)) {
      this.#met.add(fid);
      const seen = this.model.seen(fid);
      if (seen.kind === 'alive' && seen.fresh.entry.nlink > 0) this.#read.push(seen.fresh);
    }
  }

  async scanPut(count: number): Promise<void> {
    if (this.#begun === undefined) return;
    const fresh = this.#read.splice(0, count);
    await this.catalog.apply(await batchOfFresh(this.catalog, fresh, this.#begun, timing()));
  }

  /** Everything is delivered, the scan ends, everything is looked at. */
  async finish(): Promise<void> {
    this.model.closeAll();
    if (this.#begun === undefined) await this.beginScan();
    const begun = this.#begun as Stamp;
    this.scanRead(1000);
    await this.scanPut(1000);
    await markUnseen(this.catalog, begun, timing());
    await this.catalog.endScan(begun, 'complete');
    for (const mdt of MDTS.keys()) await this.deliver(mdt, 0, Number.MAX_SAFE_INTEGER);
    await this.settle();
  }

  /** Looks at all that is marked, and at what the journal says is to be looked at again. */
  async settle(): Promise<void> {
    for (let rounds = 0; rounds < 20; rounds++) {
      const again = (await this.catalog.journalDue(Date.now() + 1, 10_000)).filter(
        (row) => (row.reasons & REASON.LOOK) !== 0,
      );
      await this.catalog.apply({
        marks: again.map(({ fid, since }) => ({ fid, hints: 0, since })),
        outcomes: again.map(({ fid, stamp }) => ({ fid, stamp, outcome: 'done' })),
      });
      const { count } = await this.catalog.markStats();
      if (count === 0) return;
      await refresh(this.catalog, this.model, { after: undefined, limit: 10_000, timing });
    }
    throw new Error('it does not come to an end');
  }

  async #applied(mdt: number): Promise<number> {
    return (await this.catalog.cursors()).find((cursor) => cursor.mdt === MDTS[mdt])?.applied ?? 0;
  }
}

const linkText = (links: readonly { parent: Fid; name: Buffer }[]) =>
  links.map((link) => `${link.parent}/${link.name}`).sort();

type Stones = Map<Fid, Tombstone>;

/** What the catalog says of every FID, without what only counts its own changes. */
async function contents(catalog: Catalog, fids: Iterable<Fid>): Promise<{ entries: object; stones: Stones }> {
  const all = [...fids];
  const known = await catalog.known(all);
  const stones: Stones = new Map();
  for (const one of all) {
    const stone = await catalog.tombstone(one);
    if (stone !== undefined) stones.set(one, { ...stone, diedAt: 0 });
  }
  const entries = all.map((one) => {
    const { entry, links = [], blobs = [] } = known.get(one) ?? {};
    return [one, entry && { ...entry, seen: 0 }, linkText(links), blobs.map((blob) => ({ ...blob, archivedAt: 0 }))];
  });
  return { entries, stones };
}

/**
 * All that were there, as they were. What died without a name, held open, gets the one it had; its blob was known without.
 * Of a dead file that nobody ever saw, names are all there is; the directory may not have been in the catalog yet when it was
 * looked at, and is now.
 */
function expectStones(isTold: (fid: Fid) => boolean, after: Stones, before: Stones): void {
  const isLate = ([fid, { seen, blobs }]: [Fid, Tombstone]) =>
    before.get(fid)?.path === undefined && (seen ? blobs.length > 0 && before.has(fid) : !isTold(fid));
  expect(after).toEqual(new Map([...before, ...[...after].filter(isLate)]));
}

/**
 * What archives left of the dead is found by what the catalog has, however short they lived: under the only name that they
 * ever had (of others, where a sweep or a look finds it).
 */
async function expectFound(course: Course): Promise<void> {
  const { catalog, model } = course;
  const still = (fid: Fid) => [fid, ...model.above(fid)].every((one) => !model.moved.has(one));
  for (const [fid, { path, of }] of model.blobs) {
    if (model.things.has(fid) || ![fid, ...of].every((one) => still(one) && course.isTold(one))) continue;
    const stone = await catalog.tombstone(fid);
    // Whose record was read at least once has the blob's name from there.
    if (stone?.blobs.length !== 1) expect(stone?.path?.toString(), `${fid} left ${path}`).toBe(path);
  }
}

async function expectTruth(course: Course): Promise<void> {
  const { catalog, model } = course;
  const known = await catalog.known([...model.ever]);
  for (const fid of model.ever) {
    const thing = model.things.get(fid);
    const has = known.get(fid);
    expect(has?.entry && { ...has.entry, seen: 0 }).toEqual(thing && { ...thing.entry, seen: 0 });
    expect(linkText(has?.links ?? [])).toEqual(linkText(thing?.links ?? []));
    if (thing?.record !== undefined && 'generation' in thing.record) {
      expect(has?.blobs.map((blob) => blob.generation)).toEqual([
        `${thing.record.generation.seq}-${thing.record.generation.uuid}`,
      ]);
    }
  }
  expect((await collect(catalog.entries())).length).toBe(model.things.size);
  expect(await catalog.check()).toEqual([]);
}

/** What has, or may have, a blob and differs from what the container was told is in the journal, or dead with a tombstone. */
async function expectWork(course: Course, before: ReadonlyMap<Fid, string>): Promise<void> {
  const { catalog, model } = course;
  for (const [fid, names] of before) {
    const thing = model.things.get(fid);
    if (thing === undefined) {
      expect(await catalog.tombstone(fid), `${fid} died`).toBeDefined();
      continue;
    }
    if (linkText(thing.links).join() !== names) {
      expect((await catalog.journalEntry(fid))?.reasons, `${fid} was renamed`).toSatisfy(
        (bits) => ((bits as number) & REASON.NAMES) !== 0,
      );
    }
  }
}

function inMemory(): ReturnType<typeof scratch> {
  return scratch(existsSync('/dev/shm') ? '/dev/shm' : undefined);
}

async function withCourse(dialect: '2.15' | '2.17', work: (course: Course) => Promise<void>): Promise<void> {
  const place = inMemory();
  const catalog = openCatalog({ file: place.file, create: true });
  try {
    await work(new Course(new ModelFileSystem(MDTS.length, dialect), catalog));
  } finally {
    catalog.close();
    place.remove();
  }
}

const dialect = fc.constantFrom('2.15' as const, '2.17' as const);

test('whatever is done, and however records are split, repeated and mixed with refreshes and a scan, the catalog becomes the truth', async () => {
  await fc.assert(
    fc.asyncProperty(
      dialect,
      fc.array(change, { maxLength: 15, size: 'max' }),
      fc.boolean(),
      fc.array(step, { maxLength: 70, size: 'max' }),
      async (version, first, scanning, steps) => {
        await withCourse(version, async (course) => {
          // What was there before the first record that is read.
          for (const one of first) await course.do(one);
          course.forgetRecords();
          if (scanning) await course.beginScan();
          for (const one of steps) await course.do(one);
          await course.finish();
          await expectTruth(course);
          await expectFound(course);
          // All of it once more, as if nothing had been taken in: nothing changes.
          const before = await contents(course.catalog, course.model.ever);
          for (const [mdt, log] of course.model.logs.entries()) {
            const batch = new RecordBatch(MDTS[mdt] as string, undefined);
            for (const record of log) batch.add(record);
            await takeIn(course.catalog, batch);
          }
          await course.settle();
          const after = await contents(course.catalog, course.model.ever);
          expect(after.entries).toEqual(before.entries);
          expectStones((fid) => course.isTold(fid), after.stones, before.stones);
          expect((await course.catalog.cursors()).map((cursor) => cursor.rescan)).toEqual(
            (await course.catalog.cursors()).map(() => undefined),
          );
        });
      },
    ),
    { numRuns: Number(process.env['LFSAZSYNC_TEST_RUNS'] ?? 60) },
  );
}, 120_000);

test('after a batch, however it was split, everything that is not as the catalog has it is marked', async () => {
  const parts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      dialect,
      fc.array(change, { maxLength: 40, size: 'max' }),
      fc.array(change, { maxLength: 40, size: 'max' }),
      parts,
      async (version, first, then, splits) => {
        await withCourse(version, async (course) => {
          const { catalog, model } = course;
          for (const one of first) await course.do(one);
          await course.finish();
          const known = await catalog.known([...model.ever]);
          const names = new Map<Fid, string>();
          for (const [fid, { entry, links }] of known) {
            const copied = entry !== undefined && (entry.hsm !== 0 || entry.type === 'dir' || entry.type === 'symlink');
            if (copied && fid !== ROOT_FID) names.set(fid, linkText(links).join());
          }
          for (const one of then) await course.do(one);
          for (let turn = 0, left = true; left; turn++) {
            left = false;
            for (const [mdt, log] of model.logs.entries()) {
              await course.deliver(mdt, turn % 3, splits[turn % splits.length] as number);
              left ||=
                (await catalog.cursors()).find((one) => one.mdt === MDTS[mdt])?.applied !== (log.length || undefined);
            }
          }
          const marked = new Set((await catalog.marks(undefined, 10_000)).map((mark) => mark.fid));
          for (const fid of model.ever) {
            const thing = model.things.get(fid);
            const has = known.get(fid);
            // Came and went, or lives on without a name as long as a program holds it: it never needed anything.
            if (has?.entry === undefined && (thing === undefined || thing.links.length === 0)) continue;
            const same =
              JSON.stringify(thing && { ...thing.entry, size: 0, blocks: 0, seen: 0, s: String(thing.entry.size) }) ===
                JSON.stringify(
                  has?.entry && { ...has.entry, size: 0, blocks: 0, seen: 0, s: String(has.entry.size) },
                ) && linkText(thing?.links ?? []).join() === linkText(has?.links ?? []).join();
            if (!same) expect(marked, `${fid} changed`).toContain(fid);
          }
          await catalog.journalDrop([...model.ever]);
          model.closeAll();
          await course.settle();
          await expectTruth(course);
          await expectWork(course, names);
        });
      },
    ),
    { numRuns: Number(process.env['LFSAZSYNC_TEST_RUNS'] ?? 40) },
  );
}, 120_000);
