import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collect, entry, fid, scratch } from '../../test/support/catalog.ts';
import { expressionText } from '../../test/support/expressions.ts';
import type { Expression } from '../expression/ast.ts';
import { truthOf } from '../expression/evaluate.ts';
import { parseExpression } from '../expression/parser.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import type { Catalog } from './catalog.ts';
import { Database } from './database.ts';
import { FidKeys } from './fid-keys.ts';
import { Links } from './links.ts';
import { openCatalog } from './open.ts';
import { chosenFiles, type SelectorSizes, type SelectorSource, selectedEntries } from './select.ts';
import type { Selection } from './selection.ts';
import type { EntryPut, KnownEntry } from './types.ts';

const NOW = 1_800_000_000_999;
const SECONDS = 1_800_000_000;

let place: ReturnType<typeof scratch>;
let catalog: Catalog;

beforeEach(() => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
});
afterEach(() => {
  catalog.close();
  place.remove();
});

/** What is chosen, read in steps of these sizes: entries, or files with what their order goes by. */
async function selected<Item>(
  read: (source: SelectorSource, selection: Selection, sizes: SelectorSizes) => AsyncGenerator<Item[]>,
  selection: Selection,
  sizes: SelectorSizes,
): Promise<Item[]> {
  const database = new Database(place.file, { readOnly: true });
  const keys = new FidKeys(database);
  const source = { database, keys, links: new Links(database, keys), read: async <T>(work: () => T) => work() };
  try {
    return await collect(read(source, selection, sizes));
  } finally {
    database.close();
  }
}

/** How SQLite goes through the rows of a choice. */
async function plansOf(selection: Selection): Promise<string[]> {
  const plans: string[] = [];
  class Planned extends Database {
    override prepare(sql: string) {
      if (/ORDER BY/.test(sql) && !sql.startsWith('EXPLAIN')) {
        const plan = super.prepare(`EXPLAIN QUERY PLAN ${sql}`);
        plans.push(
          plan
            .all(...(sql.match(/\?/g) ?? []).map(() => 1))
            .map((row) => String(row.at(-1)))
            .join('\n'),
        );
      }
      return super.prepare(sql);
    }
  }
  const database = new Planned(place.file, { readOnly: true });
  const keys = new FidKeys(database);
  const links = new Links(database, keys);
  plans.length = 0;
  await collect(chosenFiles({ database, keys, links, read: async (work) => work() }, selection));
  database.close();
  return plans;
}

/** The last one is nowhere. */
const DIRECTORIES = [ROOT_FID, fid(900), fid(901), fid(902)] as const;
/** /d and /d/e. */
const TREE: EntryPut[] = [
  { entry: entry(ROOT_FID, { type: 'dir', osts: [] }), links: [] },
  { entry: entry(fid(900), { type: 'dir', osts: [] }), links: [{ parent: ROOT_FID, name: Buffer.from('d') }] },
  { entry: entry(fid(901), { type: 'dir', osts: [] }), links: [{ parent: fid(900), name: Buffer.from('e') }] },
];
const NAMES = [
  Buffer.from('a'),
  Buffer.from('b'),
  Buffer.from('b2'),
  Buffer.from('d.txt'),
  Buffer.of(0xff),
  Buffer.from('\ufeffa'),
  Buffer.from('b\ufffd'),
];

const time = fc
  .constantFrom(0, 1, 59, 60, 1799, 1800, 21_600, 86_400, 86_401, 31_536_000, -5)
  .map((age) => SECONDS - age);
const file = fc.record({
  type: fc.constantFrom('file' as const, 'file' as const, 'file' as const, 'symlink' as const),
  mode: fc.constantFrom(0o644, 0o755, 0),
  uid: fc.constantFrom(0, 1000),
  gid: fc.constantFrom(0, 100),
  project: fc.constantFrom(0, 7),
  size: fc.constantFrom(0n, 1n, 16_777_216n, 16_777_217n, 2n ** 31n, 2n ** 60n),
  nlink: fc.constantFrom(1, 2),
  atime: time,
  mtime: time,
  ctime: time,
  hsm: fc.constantFrom(0, 0, 1, 9, 9, 9, 11, 13, 0x29, 0x49, 0x19, 0x20),
  archive: fc.constantFrom(0, 1, 2),
  osts: fc.constantFrom([0], [1], [0, 1], [11], [1, 11], []),
  pool: fc.constantFrom('', 'flash'),
});
const puts = fc
  .array(fc.tuple(file, fc.subarray(DIRECTORIES.map((_, index) => index)), fc.nat(9)), { maxLength: 25 })
  .map((files): EntryPut[] =>
    files.map(([fields, parents, name], index) => ({
      entry: entry(fid(index + 1), fields),
      links: parents.map((at) => ({
        parent: DIRECTORIES[at] as Fid,
        name: name < NAMES.length ? (NAMES[name] as Buffer) : Buffer.from(`f${index}`),
      })),
    })),
  );

const selection = fc.record({
  scope: fc.constantFrom('archivable' as const, 'releasable' as const, 'all' as const),
  order: fc.constantFrom(
    'last_mod' as const,
    'last_access' as const,
    'last_change' as const,
    'size' as const,
    'none' as const,
  ),
  descending: fc.boolean(),
  ost: fc.constantFrom(undefined, undefined, 0, 1, 11),
});

const inScope: Readonly<Record<Selection['scope'], (one: KnownEntry) => boolean>> = {
  archivable: ({ type, hsm }) => type === 'file' && (hsm & 0x64) === 0 && (hsm & 0xa) !== 8,
  releasable: ({ type, hsm, size, osts }) => type === 'file' && (hsm & 0x5e) === 8 && size > 0n && osts.length > 0,
  all: () => true,
};
const sortedBy: Readonly<Record<string, (one: KnownEntry) => number>> = {
  last_mod: ({ mtime }) => mtime,
  last_access: ({ atime, mtime }) => Math.max(atime, mtime),
  last_change: ({ ctime }) => ctime,
  size: ({ size }) => Number(size),
  none: () => 0,
};

/** Every entry for which it is not false, by evaluating all of them. */
async function chosenByHand(expression: Expression, { scope, ost }: Selection): Promise<KnownEntry[]> {
  const all = await collect(catalog.entries());
  const fids = all.map((one) => one.fid);
  const [paths, known] = [await catalog.paths(fids), await catalog.known(fids)];
  return all.filter((one) => {
    const results = paths.get(one.fid) ?? [];
    const sure = results.every((result) => result.ok)
      ? results.flatMap((result) => (result.ok ? [result.path] : []))
      : [];
    // Names are known wherever the directories are.
    const links = known.get(one.fid)?.links ?? [];
    const names = links.length > 0 ? links.map(({ name }) => name) : undefined;
    const there = scope !== 'releasable' || ost === undefined || one.osts.includes(ost);
    return inScope[scope](one) && there && truthOf(expression, { ...one, paths: sure, names }, NOW) !== false;
  });
}

describe('select', () => {
  it('chooses what evaluating every entry chooses, once each, in the order asked for, in steps of any size', async () => {
    await fc.assert(
      fc.asyncProperty(puts, expressionText, selection, async (files, text, choice) => {
        catalog.close();
        place.remove();
        place = scratch();
        catalog = openCatalog({ file: place.file, create: true });
        await catalog.apply({ puts: [...TREE, ...files] });
        const expression = parseExpression(text);
        const { scope, order, descending } = choice;
        const whole: Selection = {
          scope,
          order,
          descending,
          now: NOW,
          where: expression,
          ...(scope === 'releasable' && choice.ost !== undefined ? { ost: choice.ost } : {}),
        };
        const byHand = await chosenByHand(expression, whole);
        for (const sizes of [
          { stride: 2, kept: 3, given: 2 },
          { stride: 1000, kept: 1000, given: 1000 },
        ]) {
          const found = await selected(selectedEntries, whole, sizes);
          expect(found.map((one) => one.fid).sort()).toEqual(byHand.map((one) => one.fid).sort());
          const values = found.map(sortedBy[order] as (one: KnownEntry) => number);
          const sorted = [...values].sort((a, b) => (descending ? b - a : a - b));
          expect(values).toEqual(sorted);
          expect(await selected(selectedEntries, { ...whole, limit: 2 }, sizes)).toEqual(found.slice(0, 2));
          const candidates = await selected(chosenFiles, whole, sizes);
          expect(candidates.map(({ fid: of, size }) => [of, size])).toEqual(found.map((one) => [one.fid, one.size]));
          if (order !== 'none') expect(candidates.map((one) => one.place)).toEqual(values);
        }
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it('goes on where it was, and reads no entry for what the default policies ask', async () => {
    await catalog.apply({ puts: [...TREE, { entry: entry(fid(1), { uid: 4000 }), links: [] }] });
    const size = 'type == file and size > 0 and size <= 16MB';
    const release = `((${size}) and last_access > 1y) or (not (${size}) and last_access > 1d)`;
    for (const [scope, text, order] of [
      ['archivable', 'last_mod >= 30min', 'last_mod'],
      ['releasable', release, 'last_access'],
      ['archivable', 'owner == 4000 and size > 1MB and last_mod > 1d', 'size'],
    ] as const) {
      for (const descending of [false, true]) {
        const plans = await plansOf({
          ...{ scope, order, descending, now: NOW },
          ost: 0,
          where: parseExpression(text),
        });
        expect(plans.length).toBeGreaterThan(0);
        for (const plan of plans) {
          const column = scope === 'archivable' ? 'mtime' : 'used';
          expect(plan).toContain(`(${column},fid)>(?,?) AND (${column},fid)<(?,?)`);
          expect(plan).not.toMatch(/ e |SCAN|TEMP B-TREE/);
        }
      }
    }
    // Of everything: by key.
    for (const plan of await plansOf({ scope: 'all', now: NOW, where: parseExpression('size > 0') }))
      expect(plan).toBe('SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)');
  });

  it('takes conditions of any size', async () => {
    await catalog.apply({ puts: [...TREE, { entry: entry(fid(1), { uid: 4000 }), links: [] }] });
    const many = Array.from({ length: 3000 }, (_, index) => `owner == ${index + 2000}`).join(' or ');
    const [holds, fails] = [parseExpression('size >= 0'), parseExpression('size < 0')];
    let deep = parseExpression('owner == 4000');
    for (let level = 0; level < 1000; level++) {
      const [kind, other] = level % 2 === 0 ? (['and', holds] as const) : (['or', fails] as const);
      deep = { kind, terms: [deep, other], start: 0, end: 0 };
    }
    for (const where of [parseExpression(many), deep]) {
      const found = await collect(catalog.choose({ scope: 'archivable', where, now: NOW }));
      expect(found.map((one) => one.fid)).toEqual([fid(1)]);
    }
  });
});
