import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { OperatorError } from '../service/errors.ts';
import { applyBatch, type Tables } from './apply.ts';
import { AskedFiles } from './asked.ts';
import { type BlobKey, Blobs } from './blobs.ts';
import type { Catalog, Child, Descendant } from './catalog.ts';
import { checkCatalog } from './check.ts';
import { Connection } from './connection.ts';
import { Cursors } from './cursors.ts';
import type { Database, Query } from './database.ts';
import { Entries } from './entries.ts';
import { FidKeys } from './fid-keys.ts';
import { Imports } from './imports.ts';
import { Journal } from './journal.ts';
import { Links } from './links.ts';
import { Marks } from './marks.ts';
import { EntryPages, PAGE, type Page } from './pages.ts';
import { Records } from './records.ts';
import { chosenFiles, type SelectorSource, selectedEntries } from './select.ts';
import type { EntrySelection, Selection } from './selection.ts';
import { Tombstones } from './tombstones.ts';
import { Tree } from './tree.ts';
import type {
  CatalogBatch,
  ImportedBlob,
  ImportLink,
  JournalEntry,
  Known,
  KnownBinding,
  KnownBlob,
  PathResult,
  RunKind,
  Stamp,
  Tombstone,
} from './types.ts';
import { keptUsage } from './usage.ts';
import { Walk } from './walk.ts';

/** FIDs that are read in one go. */
const AT_ONCE = 1000;

/** The catalog in an SQLite file. Opened by `openCatalog`. */
export class SqliteCatalog implements Catalog {
  readonly file: string;
  readonly #database: Database;
  readonly #connection: Connection;
  readonly #tables: Tables;
  readonly #pages: EntryPages;
  readonly #tree: Tree;
  readonly #clock: Query;

  constructor(database: Database) {
    this.file = database.file;
    this.#database = database;
    const keys = new FidKeys(database);
    const blobs = new Blobs(database);
    this.#tables = {
      keys,
      blobs,
      entries: new Entries(database, keys),
      links: new Links(database, keys),
      tombstones: new Tombstones(database, keys, blobs),
      marks: new Marks(database, keys),
      journal: new Journal(database, keys),
      cursors: new Cursors(database),
      records: new Records(database, keys),
      walk: new Walk(database, keys),
      imports: new Imports(database, keys),
      asked: new AskedFiles(database, keys),
    };
    this.#pages = new EntryPages(database, keys);
    this.#tree = new Tree(this.#tables.links, this.#tables.entries, keys);
    this.#clock = database.prepare('SELECT stamp FROM clock');
    this.#connection = new Connection(database, () => {
      keys.forget();
      this.#tables.entries.forget();
    });
  }

  apply(batch: CatalogBatch) {
    return this.#connection.write((moment) => applyBatch(this.#tables, batch, moment));
  }

  now() {
    return this.#read(() => (this.#clock.get()?.[0] ?? 0) as Stamp);
  }

  fileSystem() {
    return this.#read(() => this.#tables.records.fact('file_system'));
  }

  claim(fileSystem: string) {
    return this.#connection.write(() => {
      const owner = this.#tables.records.fact('file_system');
      if (owner === undefined) return this.#tables.records.putFact('file_system', fileSystem);
      if (owner === fileSystem) return;
      throw new OperatorError(`The catalog ${this.file} is that of the file system ${owner}, not of ${fileSystem}.`, {
        code: 'CATALOG_OTHER_FILE_SYSTEM',
        hint: 'Is the right file system mounted? If this one replaces the other, move the catalog away and run `lfsazsync scan`.',
      });
    });
  }

  lastScan() {
    return this.#stampFact('scanned');
  }

  beginScan() {
    return this.#connection.write(({ stamp }) => {
      this.#tables.records.putFact('scanning', String(stamp));
      this.#tables.tombstones.openGraves();
      this.#tables.walk.clear();
      return stamp;
    });
  }

  scanning() {
    return this.#stampFact('scanning');
  }

  unwalked() {
    return this.#walk((after) => this.#tables.walk.left(after), 0);
  }

  endScan(begun: Stamp, outcome: 'complete' | 'partial') {
    return this.#connection.write(() => {
      const { records, tombstones, cursors } = this.#tables;
      records.dropFact('scanning');
      tombstones.openGraves();
      this.#tables.walk.clear();
      if (outcome === 'partial') return;
      records.putFact('scanned', String(begun));
      cursors.scanned(begun);
    });
  }

  known(fids: readonly Fid[]) {
    const { entries, links, blobs } = this.#tables;
    return this.#eachKey(fids, (key): Known => {
      const entry = entries.get(key);
      // Only entries have names.
      if (entry === undefined) return { links: [], blobs: blobs.of(key) };
      return { entry, links: links.linksOf(key), blobs: blobs.of(key) };
    });
  }

  async present(fids: readonly Fid[]) {
    const found = await this.#eachKey(fids, (key) => this.#tables.entries.has(key));
    return new Set(fids.filter((fid) => found.get(fid) === true));
  }

  async stripes(fids: readonly Fid[]) {
    const { links, keys } = this.#tables;
    const found = await this.#eachKey(fids, (key) => {
      const directory = links.directoryOf(key);
      return directory === key ? undefined : keys.fid(directory);
    });
    return new Map([...found].flatMap(([stripe, directory]) => (directory === undefined ? [] : [[stripe, directory]])));
  }

  async paths(fids: readonly Fid[]) {
    const paths = new Map<Fid, PathResult[]>(fids.map((fid) => [fid, [{ ok: false, reason: 'no-name' }]]));
    for (let at = 0; at < fids.length; at += AT_ONCE) {
      await this.#read(() => {
        const walker = this.#tables.links.walker();
        for (const fid of fids.slice(at, at + AT_ONCE)) {
          const key = this.#tables.keys.find(fid);
          if (key !== undefined) paths.set(fid, walker.pathsOf(key));
        }
      });
    }
    return paths;
  }

  lookup(path: Buffer) {
    return this.#read(() => {
      const root = this.#tables.keys.find(ROOT_FID);
      const key = root === undefined ? undefined : this.#tree.lookup(root, path);
      return key === undefined ? undefined : this.#tables.keys.fid(key);
    });
  }

  children(directory: Fid, after: Buffer | undefined, limit: number) {
    return this.#read((): Child[] => {
      const key = this.#tables.keys.find(directory);
      return key === undefined ? [] : this.#tree.children(key, after, limit);
    });
  }

  async *subtree(directory: Fid, after: Buffer = Buffer.alloc(0)): AsyncGenerator<Descendant[]> {
    const levels = await this.#read(() => {
      const key = this.#tables.keys.find(directory);
      return key === undefined ? [] : this.#tree.resume(key, after);
    });
    for (;;) {
      const page = await this.#read(() => this.#tree.next(levels));
      if (page.length === 0) return;
      yield page;
    }
  }

  entries() {
    return this.#walk((after) => this.#pages.all(after), 0);
  }

  directorySizes() {
    return this.#walk((after) => this.#pages.directorySizes(after), Number.MIN_SAFE_INTEGER);
  }

  withoutBlob() {
    return this.#walk((after) => this.#pages.withoutBlob(after), 0);
  }

  unverified(since: number) {
    const { keys, blobs } = this.#tables;
    const page = (after: BlobKey): Page<{ fid: Fid; blob: KnownBlob }, BlobKey> => {
      const rows = blobs.page(after, PAGE);
      const old = rows.filter(({ blob }) => (blob.verifiedAt ?? Number.MIN_SAFE_INTEGER) < since);
      return {
        items: old.map(({ key, blob }) => ({ fid: keys.fid(key[0]), blob })),
        next: rows.length < PAGE ? undefined : rows[rows.length - 1]?.key,
      };
    };
    return this.#walk(page, [0, 0, '']);
  }

  unseen(since: Stamp) {
    return this.#walk((after) => this.#pages.unseen(since, after), 0);
  }

  select(selection: EntrySelection) {
    return selectedEntries(this.#selectorSource(), { ...selection, scope: 'all' });
  }

  choose(selection: Selection) {
    return chosenFiles(this.#selectorSource(), selection);
  }

  #selectorSource(): SelectorSource {
    const { keys, links } = this.#tables;
    return { database: this.#database, keys, links, read: (work) => this.#read(work) };
  }

  usage() {
    return this.#read(() => keptUsage(this.#database));
  }

  tombstones(upTo: number) {
    return this.#stones((after) => this.#tables.tombstones.due(upTo, after, PAGE));
  }

  tombstonesAt(path: Buffer) {
    return this.#stones((before) => this.#tables.tombstones.at(path, before, PAGE));
  }

  async *#stones(read: (from: { died: number; fid: number } | undefined) => Tombstone[]): AsyncGenerator<Tombstone[]> {
    let last: Tombstone | undefined;
    for (;;) {
      const from = last;
      const page = await this.#read(() =>
        read(from && { died: from.diedAt, fid: this.#tables.keys.find(from.fid) ?? 0 }),
      );
      last = page[page.length - 1];
      if (last === undefined) return;
      yield page;
    }
  }

  tombstone(fid: Fid) {
    return this.#one(fid, (key) => this.#tables.tombstones.get(key));
  }

  deaths(since: number) {
    return this.#read(() => this.#tables.tombstones.count(since));
  }

  burials(since: number) {
    return this.#read(() => this.#tables.tombstones.burials(since));
  }

  marks(after: Fid | undefined, limit: number) {
    return this.#read(() => this.#tables.marks.next(this.#keyOr0(after), limit));
  }

  markStats() {
    return this.#read(() => this.#tables.marks.stats());
  }

  journalDue(nowMs: number, limit: number, after?: Pick<JournalEntry, 'notBefore' | 'fid'>) {
    return this.#read(() => {
      const from = after && { notBefore: after.notBefore, key: this.#keyOr0(after.fid) };
      return this.#tables.journal.due(nowMs, from, limit);
    });
  }

  journalNext() {
    return this.#read(() => this.#tables.journal.next());
  }

  journalEntry(fid: Fid) {
    return this.#one(fid, (key) => this.#tables.journal.get(key));
  }

  journalStats() {
    return this.#read(() => this.#tables.journal.stats());
  }

  quarantine(after: Fid | undefined, limit: number) {
    return this.#read(() => this.#tables.journal.quarantine(this.#keyOr0(after), limit));
  }

  journalRetry(fids: readonly Fid[]) {
    return this.#countWritten(fids, (key, stamp) => this.#tables.journal.retry(key, stamp));
  }

  journalDrop(fids: readonly Fid[]) {
    return this.#countWritten(fids, (key) => this.#tables.journal.drop(key));
  }

  cursors() {
    return this.#read(() => this.#tables.cursors.all());
  }

  binding(fid: Fid) {
    return this.#one(fid, (key) => this.#tables.records.binding(key));
  }

  bindingsAt(archive: number, name: string) {
    return this.#read(() => this.#tables.records.bindingsAt(archive, name));
  }

  boundAt(archive: number, names: readonly string[]) {
    return this.#read(() => {
      const { records } = this.#tables;
      const found = new Map<string, KnownBinding[]>();
      if (!records.anyBinding()) return found;
      for (const name of names) {
        const bindings = records.bindingsAt(archive, name);
        if (bindings.length > 0) found.set(name, bindings);
      }
      return found;
    });
  }

  importRanges(limit: number) {
    return this.#read(() => this.#tables.imports.ranges(limit));
  }

  importRangeCount() {
    return this.#read(() => this.#tables.imports.rangeCount());
  }

  async *importLinks(): AsyncGenerator<ImportLink[]> {
    for (let after = ''; ; ) {
      const from = after;
      const page = await this.#read(() => this.#tables.imports.links(from));
      const last = page[page.length - 1];
      if (last === undefined) return;
      after = last.name;
      yield page;
    }
  }

  importDirectories() {
    return this.#walk((after) => {
      const rows = this.#tables.imports.directories(after);
      return { items: rows.map(({ directory }) => directory), next: rows[rows.length - 1]?.key };
    }, 0);
  }

  async importedAt(archive: number, names: readonly string[]) {
    const found = new Map<string, ImportedBlob>();
    for (let at = 0; at < names.length; at += AT_ONCE) {
      await this.#read(() => {
        for (const name of names.slice(at, at + AT_ONCE)) {
          const one = this.#tables.imports.blobAt(archive, name);
          if (one !== undefined) found.set(name, one);
        }
      });
    }
    return found;
  }

  async *importsGone(archive: number, place: string, since: number) {
    for (let after = ''; ; ) {
      const from = after;
      const page = await this.#read(() => this.#tables.imports.gone(archive, place, since, from));
      const last = page[page.length - 1];
      if (last === undefined) return;
      after = last.name;
      yield page;
    }
  }

  bindingCount(archive: number) {
    return this.#read(() => this.#tables.imports.count(archive));
  }

  async failures(fids: readonly Fid[]) {
    const found = await this.#eachKey(fids, (key) => this.#tables.records.failures(key));
    return new Map([...found].filter(([, failures]) => failures.length > 0));
  }

  failing(kind: string, after: Fid | undefined, limit: number) {
    return this.#read(() => this.#tables.records.failing(kind, this.#keyOr0(after), limit));
  }

  asked(policy: string) {
    return this.#walk((after) => {
      const rows = this.#tables.asked.page(policy, after, PAGE);
      return { items: rows.map(({ asked }) => asked), next: rows.length < PAGE ? undefined : rows.at(-1)?.key };
    }, 0);
  }

  checkpoint(name: string) {
    return this.#read(() => this.#tables.records.checkpoint(name));
  }

  beginRun(kind: RunKind, name: string, detail: Readonly<Record<string, unknown>> = {}) {
    return this.#connection.write(({ ms }) => this.#tables.records.beginRun(kind, name, detail, ms));
  }

  endRun(id: number, outcome: string, detail: Readonly<Record<string, unknown>>) {
    return this.#connection.write(({ ms }) => this.#tables.records.endRun(id, outcome, detail, ms));
  }

  runs(kind: RunKind | undefined, limit: number) {
    return this.#read(() => this.#tables.records.runs(kind, limit));
  }

  events(limit: number) {
    return this.#read(() => this.#tables.records.events(limit));
  }

  check() {
    return this.#read(() => checkCatalog(this.#database));
  }

  close(): void {
    this.#database.close();
  }

  #read<T>(work: () => T): Promise<T> {
    return this.#connection.read(work);
  }

  #stampFact(name: string): Promise<Stamp | undefined> {
    return this.#read(() => {
      const fact = this.#tables.records.fact(name);
      return fact === undefined ? undefined : Number(fact);
    });
  }

  #one<T>(fid: Fid, read: (key: number) => T | undefined): Promise<T | undefined> {
    return this.#read(() => {
      const key = this.#tables.keys.find(fid);
      return key === undefined ? undefined : read(key);
    });
  }

  #keyOr0(fid: Fid | undefined): number {
    return fid === undefined ? 0 : (this.#tables.keys.find(fid) ?? 0);
  }

  async #eachKey<T>(fids: readonly Fid[], read: (key: number) => T): Promise<Map<Fid, T>> {
    const found = new Map<Fid, T>();
    for (let at = 0; at < fids.length; at += AT_ONCE) {
      await this.#read(() => {
        for (const fid of fids.slice(at, at + AT_ONCE)) {
          const key = this.#tables.keys.find(fid);
          if (key !== undefined) found.set(fid, read(key));
        }
      });
    }
    return found;
  }

  #countWritten(fids: readonly Fid[], change: (key: number, stamp: Stamp) => boolean): Promise<number> {
    return this.#connection.write(({ stamp }) => {
      const keys = fids.map((fid) => this.#tables.keys.find(fid)).filter((key) => key !== undefined);
      return keys.filter((key) => change(key, stamp)).length;
    });
  }

  async *#walk<Item, Position>(
    read: (after: Position) => Page<Item, Position>,
    from: Position,
  ): AsyncGenerator<Item[]> {
    for (let after: Position | undefined = from; after !== undefined; ) {
      const position: Position = after;
      const page: Page<Item, Position> = await this.#read(() => read(position));
      if (page.items.length > 0) yield page.items;
      after = page.next;
    }
  }
}
