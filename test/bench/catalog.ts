import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openCatalog } from '../../src/catalog/open.ts';
import type { EntryPut } from '../../src/catalog/types.ts';
import type { Seen } from '../../src/follow/fresh.ts';
import { RecordBatch } from '../../src/follow/record-batch.ts';
import { refresh } from '../../src/follow/refresh.ts';
import { takeIn } from '../../src/follow/take-in.ts';
import { type Fid, ROOT_FID } from '../../src/identity/fid.ts';
import { type ChangelogRecord, RecordType } from '../../src/lustre/changelog-record.ts';

/**
 * The catalog's own speed: `node test/bench/catalog.ts [--rows 1000000] [--dir DIR] [--json FILE] [--short]`. It is filled
 * as by a scan (200 files in a directory, a name each, nine of ten archived, four OSTs), then used; `--short` leaves out
 * what changes it again. Nothing here reads a file system: what is measured is from an entry in memory to the commit on
 * the disk, and back.
 */
const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    dir: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
    short: { type: 'boolean', default: false },
  },
});
const ROWS = Number(options.rows);
const ARCHIVABLE = { scope: 'archivable', order: 'last_mod', now: 9e12 } as const;
const RELEASABLE = { scope: 'releasable', order: 'last_access', ost: 1, now: 9e12 } as const;
const BATCH = 2000;
const PER_DIRECTORY = 200;
const SINGLES = 5_000;
const WORKERS = [1, 8, 32, 128] as const;
const SAMPLE = Math.min(200_000, Math.floor(ROWS / 2));

const directory = mkdtempSync(join(options.dir, 'lfsazsync-bench-'));
const file = join(directory, 'catalog.db');

interface Figure {
  readonly what: string;
  readonly count: number;
  readonly perSecond: number;
  /** Microseconds of CPU for each. */
  readonly cpu: number;
  readonly seconds: number;
  /** Of the process, MiB, at its end. */
  readonly memory: number;
}
const figures: Figure[] = [];

async function measure(what: string, count: number, work: () => Promise<number | undefined>): Promise<void> {
  const [start, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
  const done = (await work()) ?? count;
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  figures.push({
    what,
    count: done,
    perSecond: done / seconds,
    cpu: (user + system) / Math.max(1, done),
    seconds,
    memory: process.memoryUsage().rss / 2 ** 20,
  });
  console.error(`${what}: ${done} in ${seconds.toFixed(2)} s`);
}

/** Every client has sequences of 131,072 objects. */
const fidOf = (number: number) =>
  `0x${(0x200000401 + Math.floor(number / 0x1ffff)).toString(16)}:0x${((number % 0x1ffff) + 1).toString(16)}:0x0` as Fid;
/** Things are made one after the other, modified within the hour, and used within the day. */
const madeAt = (number: number) => 1_600_000_000 + number * 5;

/** The directory of a file: each 201st thing is one. */
const parentOf = (number: number) => {
  const first = number - (number % (PER_DIRECTORY + 1));
  return number === first ? ROOT_FID : fidOf(first);
};

function putOf(number: number, mode = 0o644): EntryPut {
  const isDirectory = number % (PER_DIRECTORY + 1) === 0;
  const archived = number % 10 !== 0;
  return {
    entry: {
      fid: fidOf(number),
      type: isDirectory ? 'dir' : 'file',
      mode,
      uid: 1000 + (number % 40),
      gid: 1000,
      project: 0,
      size: BigInt(4096 + (number % 100_000)),
      blocks: 16n,
      nlink: isDirectory ? 2 : 1,
      atime: madeAt(number) + ((number * 7919) % 100_000),
      mtime: madeAt(number) + ((number * 104_729) % 3600),
      ctime: 1_700_000_000,
      hsm: archived && !isDirectory ? 0x9 : 0,
      archive: archived && !isDirectory ? 1 : 0,
      osts: isDirectory ? [] : [number % 4],
      pool: '',
    },
    links: [{ parent: parentOf(number), name: Buffer.from(`file-with-a-name-${number}`) }],
  };
}

async function fill(catalog: Catalog): Promise<undefined> {
  for (let from = 0; from < ROWS; from += BATCH) {
    const puts = Array.from({ length: Math.min(BATCH, ROWS - from) }, (_, index) => putOf(from + index));
    await catalog.apply({ puts });
  }
  return undefined;
}

/** Numbers without order that repeat in every run. */
function* shuffled(count: number): Generator<number> {
  let state = 12_345;
  for (let index = 0; index < count; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    yield state % ROWS;
  }
}

async function update(catalog: Catalog): Promise<undefined> {
  const numbers = [...shuffled(SAMPLE)];
  for (let from = 0; from < SAMPLE; from += BATCH) {
    await catalog.apply({ puts: numbers.slice(from, from + BATCH).map((number) => putOf(number, 0o600)) });
  }
  return undefined;
}

/** Batches of one change each, as the workers of a service have them: so many wait for their commit at the same time. */
async function singles(catalog: Catalog, workers: number): Promise<undefined> {
  const numbers = shuffled(SINGLES);
  const work = async () => {
    for (const number of numbers) await catalog.apply({ marks: [{ fid: fidOf(number), hints: 0, since: 1 }] });
  };
  await Promise.all(Array.from({ length: workers }, work));
  return undefined;
}

async function take(pages: AsyncIterable<unknown[]>, limit = Number.POSITIVE_INFINITY): Promise<number> {
  let count = 0;
  for await (const page of pages) {
    count += page.length;
    if (count >= limit) break;
  }
  return count;
}

function creation(index: number, number: number, type: 'CREAT' | 'CLOSE'): ChangelogRecord {
  const named = type === 'CREAT';
  return {
    index,
    type: RecordType[type],
    flags: 0,
    time: 1_700_000_000_000,
    fid: fidOf(number),
    parent: named ? parentOf(number) : null,
    name: named ? Buffer.from('x') : null,
    uid: 0,
    gid: 0,
    sourceFid: null,
    sourceParent: null,
    sourceName: null,
    xattr: null,
  };
}

/** Creations in the changelog (two records each) until they are in the catalog, with names and attributes. */
async function followCreations(catalog: Catalog, files: number): Promise<undefined> {
  const numbers = new Map<Fid, number>();
  const source = {
    look: async (fids: readonly Fid[]) =>
      new Map(
        fids.map((fid): [Fid, Seen] => {
          const number = numbers.get(fid);
          const put = number === undefined ? undefined : putOf(number);
          return [
            fid,
            put?.links ? { kind: 'alive', fresh: { entry: put.entry, links: put.links } } : { kind: 'dead' },
          ];
        }),
      ),
    stripes: async () => new Map<Fid, Fid>(),
  };
  let index = 0;
  for (let from = ROWS; from < ROWS + files; from += BATCH) {
    const batch = new RecordBatch('fs-MDT0000', index === 0 ? undefined : index);
    for (let number = from; number < from + BATCH; number++) {
      numbers.set(fidOf(number), number);
      const parent = number - (number % (PER_DIRECTORY + 1));
      numbers.set(fidOf(parent), parent);
      batch.add(creation(++index, number, 'CREAT'));
      batch.add(creation(++index, number, 'CLOSE'));
    }
    await takeIn(catalog, batch);
    for (let after: Fid | undefined, more = true; more; more = after !== undefined) {
      after = (
        await refresh(catalog, source, { after, limit: 1000, timing: () => ({ now: Date.now(), settle: 0, again: 0 }) })
      ).next;
    }
  }
  return undefined;
}

try {
  let catalog = openCatalog({ file, create: true });
  await measure('first scan: entries with names', ROWS, () => fill(catalog));
  const bytes = statSync(file).size / ROWS;
  if (!options.short) {
    await measure('scan again, nothing changed', ROWS, () => fill(catalog));
    await measure('updates all over it', SAMPLE, () => update(catalog));
    const files = Math.floor(SAMPLE / BATCH) * BATCH;
    await measure('records of creations, to the refreshed catalog', 2 * files, () =>
      followCreations(catalog, files).then(() => 2 * files),
    );
    for (const workers of WORKERS)
      await measure(`commits of one change each, ${workers} at a time`, SINGLES, () => singles(catalog, workers));
  }
  catalog.close();
  await measure('open', 1, async () => {
    catalog = openCatalog({ file });
    await catalog.cursors();
    return undefined;
  });
  await measure('iterate all entries', ROWS, () => take(catalog.entries()));
  await measure('candidates for archive, the first 1,000', 1000, () => take(catalog.choose(ARCHIVABLE), 1000));
  await measure('candidates for archive, all', ROWS, () => take(catalog.choose(ARCHIVABLE)));
  await measure('candidates for release of an OST, the first 1,000', 1000, () =>
    take(catalog.choose(RELEASABLE), 1000),
  );
  await measure('candidates for release of an OST, up to 100,000', 100_000, () =>
    take(catalog.choose(RELEASABLE), 100_000),
  );
  const sample = [...shuffled(50_000)].map(fidOf);
  await measure('paths of files all over it', sample.length, async () => (await catalog.paths(sample)).size);
  await measure('sums by kind', 1, async () => (await catalog.usage()).length);
  catalog.close();

  const heads = ['what', 'count', 'per second', 'µs CPU each', 'seconds', 'MiB'];
  const rows = figures.map((one) => [
    one.what,
    String(one.count),
    String(Math.round(one.perSecond)),
    one.cpu.toFixed(2),
    one.seconds.toFixed(3),
    one.memory.toFixed(0),
  ]);
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => (row[at] as string).length)));
  for (const row of [heads, ...rows]) {
    console.log(
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[at] as number)))
        .join('  '),
    );
  }
  console.log(`${bytes.toFixed(0)} bytes each on disk`);
  if (options.json !== undefined) {
    writeFileSync(
      options.json,
      `${JSON.stringify({ rows: ROWS, node: process.version, bytesPerRow: bytes, figures }, null, 2)}\n`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
