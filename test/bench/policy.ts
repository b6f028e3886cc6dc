import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openCatalog } from '../../src/catalog/open.ts';
import type { Selection } from '../../src/catalog/selection.ts';
import type { Entry, EntryPut } from '../../src/catalog/types.ts';
import { configSchema } from '../../src/config/schema.ts';
import { toConfig } from '../../src/config/types.ts';
import { type Fid, ROOT_FID } from '../../src/identity/fid.ts';
import { loadPolicies, type Policy, ruleFor } from '../../src/policy/policies.ts';

/**
 * How fast policies choose: `node test/bench/policy.ts [--rows 1000000] [--dir DIR] [--json FILE] [--short] [--only release] [--scattered]
 * [--catalog FILE]`. The catalog has files of all sizes, a tenth to be archived, the others archived, on four OSTs, in directories of 200. Chosen and checked (the rule of
 * each is found by its attributes, as a run does) with the default policies, and with a handful of classes; `--short` leaves out
 * the orders that have no index of their own, `--only` all whose name begins otherwise. Times follow the order in which files were made, but for
 * those of last use, or, with `--scattered`, have nothing to do with it. `--catalog` keeps the catalog, and takes one that is there.
 */
const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    dir: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
    short: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    scattered: { type: 'boolean', default: false },
    catalog: { type: 'string' },
  },
});
const ROWS = Number(options.rows);
/** Large ones, with memory for them: otherwise filling a catalog with scattered times takes an hour. */
const BATCH = 100_000;
const FILL_CACHE = 1024 * 2 ** 20;
const PER_DIRECTORY = 200;
const NOW_S = 1_800_000_000;
const NOW = NOW_S * 1000;

/** Owners, trees, names and sizes, as a site may have them. */
const CLASSES = {
  scratch: { definition: 'tree == "/d1/**" or name == "*.tmp"' },
  projects: { definition: 'owner >= 1010 and owner < 1030 and size > 1MB' },
  images: { definition: 'name == "*.img" and size > 16MB' },
  old: { definition: 'last_change > 1y and not class == scratch' },
};
const POLICIES = {
  archive: {
    ignore_class: 'scratch',
    rules: {
      images: { target_class: 'images', condition: 'last_mod > 1d' },
      projects: { target_class: 'projects', condition: 'last_mod > 1h and mode != 0' },
      old: { target_class: 'old', condition: 'last_mod > 1d' },
      default: { condition: 'last_mod > 12h' },
    },
  },
  release: {
    ignore_class: 'scratch',
    rules: {
      images: { target_class: 'images', condition: 'last_access > 1d' },
      projects: { target_class: 'projects', condition: 'last_access > 30d' },
      default: { condition: 'last_access > 7d' },
    },
  },
};

const fidOf = (number: number) =>
  `0x${(0x200000401 + Math.floor(number / 0x1ffff)).toString(16)}:0x${((number % 0x1ffff) + 1).toString(16)}:0x0` as Fid;

function numberOf(fid: Fid): number {
  const colon = fid.indexOf(':');
  const sequence = Number.parseInt(fid.slice(2, colon), 16);
  const object = Number.parseInt(fid.slice(colon + 3, fid.indexOf(':', colon + 1)), 16);
  return (sequence - 0x200000401) * 0x1ffff + object - 1;
}

/** Each 201st thing is a directory in the root. */
const isDirectory = (number: number) => number % (PER_DIRECTORY + 1) === 0;
const SIZES = [0n, 4096n, 65_536n, 2_000_000n, 17_000_000n, 2_000_000_000n];

const nameOf = (number: number) =>
  Buffer.from(`file-${number}.${number % 50 === 3 ? 'tmp' : number % 7 === 2 ? 'img' : 'dat'}`);
const pathOf = (number: number) => Buffer.from(`d${Math.floor(number / (PER_DIRECTORY + 1))}/${nameOf(number)}`);

function entryOf(number: number, fid = fidOf(number)): Entry {
  const directory = isDirectory(number);
  const archived = number % 10 !== 0;
  // Made one after the other over two years, modified within the hour after, used within the months after.
  const at = options.scattered ? (number * 7_368_787) % ROWS : number;
  const made = NOW_S - 63_000_000 + Math.floor((at / ROWS) * 63_000_000);
  const mtime = made + ((number * 104_729) % 3600);
  return {
    fid,
    type: directory ? 'dir' : 'file',
    mode: 0o644,
    uid: 1000 + (number % 40),
    gid: 1000,
    project: 0,
    size: SIZES[number % SIZES.length] as bigint,
    blocks: 16n,
    nlink: directory ? 2 : 1,
    atime: Math.min(NOW_S, mtime + ((number * 7919) % 10_000_000)),
    mtime: Math.min(NOW_S, mtime),
    ctime: Math.min(NOW_S, mtime),
    hsm: archived && !directory ? 0x9 : 0,
    archive: archived && !directory ? 1 : 0,
    osts: directory ? [] : [number % 4],
    pool: '',
  };
}

function putOf(number: number): EntryPut {
  const place = Math.floor(number / (PER_DIRECTORY + 1));
  return {
    entry: entryOf(number),
    links: [
      isDirectory(number)
        ? { parent: ROOT_FID, name: Buffer.from(`d${place}`) }
        : { parent: fidOf(place * (PER_DIRECTORY + 1)), name: nameOf(number) },
    ],
  };
}

interface Figure {
  readonly what: string;
  readonly policies: string;
  /** Entries that were chosen and whose rule says that they are due. */
  readonly chosen: number;
  readonly perSecond: number;
  /** Microseconds of CPU for each. */
  readonly cpu: number;
  readonly seconds: number;
  /** Milliseconds until the first thousand. */
  readonly first: number;
  /** The largest memory of the process meanwhile, MiB. */
  readonly memory: number;
  /** The longest time in which nothing else could run, milliseconds. */
  readonly blocked: number;
}

/** Goes through a whole choice, finding the rule of each by what a look at the file system shows: here, one that costs nothing. */
async function measure(
  catalog: Catalog,
  what: string,
  policies: string,
  policy: Policy,
  selection: Omit<Selection, 'now' | 'where'>,
): Promise<Figure> {
  let [memory, blocked, chosen, first] = [0, 0, 0, Number.NaN];
  let last = performance.now();
  const beat = setInterval(() => {
    memory = Math.max(memory, process.memoryUsage.rss());
    blocked = Math.max(blocked, performance.now() - last - 5);
    last = performance.now();
  }, 5);
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  for await (const page of catalog.choose({ ...selection, where: policy.candidates, now: NOW })) {
    for (const { fid } of page) {
      const number = numberOf(fid);
      const entry = entryOf(number, fid);
      const verdict = ruleFor(policy, policy.needs.paths ? { ...entry, paths: [pathOf(number)] } : entry, NOW);
      if (verdict.rule !== undefined && verdict.due === true) chosen += 1;
    }
    if (Number.isNaN(first) && chosen >= 1000) first = performance.now() - start;
    await new Promise(setImmediate);
  }
  clearInterval(beat);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    what,
    policies,
    chosen,
    perSecond: chosen / seconds,
    cpu: (user + system) / Math.max(1, chosen),
    seconds,
    first,
    memory: memory / 2 ** 20,
    blocked,
  };
}

async function fill(file: string): Promise<void> {
  const catalog = openCatalog({ file, create: true, cacheBytes: FILL_CACHE });
  await catalog.apply({
    puts: [{ entry: { ...entryOf(0), fid: ROOT_FID }, links: [] }],
  });
  for (let from = 0; from < ROWS; from += BATCH) {
    const count = Math.min(BATCH, ROWS - from);
    await catalog.apply({ puts: Array.from({ length: count }, (_, index) => putOf(from + index)) });
  }
  catalog.close();
}

const load = async (tree: object) =>
  (await loadPolicies(toConfig(configSchema.parse({ mount: '/mnt', ...tree })))).policies;

const directory = mkdtempSync(join(options.dir, 'lfsazsync-bench-'));
try {
  const file = options.catalog ?? join(directory, 'catalog.db');
  if (!existsSync(file)) await fill(file);
  const catalog = openCatalog({ file });
  const figures: Figure[] = [];
  for (const [name, tree] of [
    ['default', {}],
    ['a handful of classes', { classes: CLASSES, policies: POLICIES }],
  ] as const) {
    const policies = await load(tree);
    const [archive, release] = [policies.get('archive') as Policy, policies.get('release') as Policy];
    for (const [what, policy, selection] of [
      ['archive, longest unmodified first', archive, { scope: 'archivable', order: 'last_mod' }],
      ['archive, largest first', archive, { scope: 'archivable', order: 'size', descending: true }],
      ['release from one OST, longest unused first', release, { scope: 'releasable', order: 'last_access', ost: 1 }],
      ['release, all OSTs, longest unused first', release, { scope: 'releasable', order: 'last_access' }],
    ] as const) {
      const indexed = what.startsWith('archive, longest') || what.startsWith('release from one');
      if ((options.short && !indexed) || !what.startsWith(options.only)) continue;
      figures.push(await measure(catalog, what, name, policy, selection));
      console.error(figures.at(-1));
    }
  }
  catalog.close();
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ rows: ROWS, bytes: statSync(file).size, figures }, null, 2)}\n`);
  console.log('| | policies | chosen | per second | CPU each | first 1,000 | memory | longest block |');
  console.log('|---|---|---|---|---|---|---|---|');
  for (const one of figures) {
    const cells = [
      one.what,
      one.policies,
      one.chosen.toLocaleString('en'),
      Math.round(one.perSecond).toLocaleString('en'),
      `${one.cpu.toFixed(1)} µs`,
      `${one.first.toFixed(0)} ms`,
      `${one.memory.toFixed(0)} MiB`,
      `${one.blocked.toFixed(0)} ms`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
