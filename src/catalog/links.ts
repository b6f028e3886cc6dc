import { ROOT_FID } from '../identity/fid.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import type { Database, Query } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Link, PathResult } from './types.ts';

/** Levels of directories that are walked up; more is a loop that a race has left behind. */
export const MAX_DEPTH = 4096;

interface LinkKey {
  readonly parent: number;
  readonly name: Uint8Array;
}

const nameKey = (parent: number, name: Uint8Array) => `${parent}/${Buffer.from(name).toString('latin1')}`;

/** What putting names has brought to light: others that must be looked at. */
export interface LinkFindings {
  /** They had the name before. */
  readonly displaced: Set<number>;
  /** Named as parents. */
  readonly parents: Set<number>;
}

/** The names: (directory, name) → file. A path is found by walking up, so a renamed directory is one row. */
export class Links {
  readonly #keys: FidKeys;
  readonly #ofChild: Query;
  readonly #at: Query;
  readonly #insert: Query;
  readonly #take: Query;
  readonly #delete: Query;
  readonly #children: Query;
  readonly #shard: Query;
  readonly #putShard: Query;
  readonly #moveChildren: Query;
  readonly #conflicts: Query;
  readonly #dropStripe: Query;
  readonly #directories = new Map<number, number>();

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    this.#ofChild = database.prepare('SELECT parent, name FROM links WHERE child = ? ORDER BY parent, name');
    this.#at = database.prepare('SELECT child FROM links WHERE parent = ? AND name = ?');
    this.#insert = database.prepare('INSERT OR IGNORE INTO links (parent, name, child) VALUES (?, ?, ?)');
    this.#take = database.prepare('UPDATE links SET child = ? WHERE parent = ? AND name = ?');
    this.#delete = database.prepare('DELETE FROM links WHERE parent = ? AND name = ? AND child = ?');
    this.#children = database.prepare(
      'SELECT name, child FROM links WHERE parent = ? AND name > ? ORDER BY name LIMIT ?',
    );
    this.#shard = database.prepare('SELECT directory FROM shards WHERE shard = ?');
    this.#putShard = database.prepare(
      'INSERT INTO shards (shard, directory) VALUES (?, ?) ON CONFLICT DO UPDATE SET directory = excluded.directory',
    );
    this.#conflicts = database.prepare(
      `SELECT theirs.child FROM links ours JOIN links theirs ON theirs.parent = ? AND theirs.name = ours.name
       WHERE ours.parent = ? AND ours.child <> theirs.child`,
    );
    this.#moveChildren = database.prepare('UPDATE OR REPLACE links SET parent = ? WHERE parent = ?');
    this.#dropStripe = database.prepare('DELETE FROM links WHERE child = ?');
  }

  /** A batch begins: what was remembered of the last one may have changed. */
  begin(): void {
    this.#directories.clear();
  }

  /** From now on, what is named by the stripe is named by its directory. */
  putShard(shard: number, directory: number, findings: LinkFindings): void {
    this.#directories.clear();
    this.#putShard.run(shard, directory);
    for (const [child] of this.#conflicts.all(directory, shard)) findings.displaced.add(child as number);
    this.#moveChildren.run(directory, shard);
    this.#dropStripe.run(shard);
  }

  /** Gives a file these names, and takes every other from it. @param fresh it has none so far */
  put(child: number, links: readonly Link[], fresh: boolean, findings: LinkFindings): void {
    const had = new Map((fresh ? [] : this.of(child)).map((link) => [nameKey(link.parent, link.name), link]));
    const wanted = new Set<string>();
    for (const link of links) {
      const parent = this.directoryOf(this.#keys.store(link.parent));
      findings.parents.add(parent);
      if (had.size > 0) {
        const name = nameKey(parent, link.name);
        wanted.add(name);
        if (had.has(name)) continue;
      }
      this.#add(child, parent, link.name, findings);
    }
    for (const [name, link] of had) if (!wanted.has(name)) this.#delete.run(link.parent, link.name, child);
  }

  #add(child: number, parent: number, name: Uint8Array, findings: LinkFindings): void {
    if (this.#insert.run(parent, name, child) > 0) return;
    const there = this.at(parent, name);
    if (there === child || there === undefined) return;
    findings.displaced.add(there);
    this.#take.run(child, parent, name);
  }

  removeAll(child: number): void {
    this.#dropStripe.run(child);
  }

  of(child: number): LinkKey[] {
    return this.#ofChild.all(child).map((row) => ({ parent: row[0] as number, name: row[1] as Uint8Array }));
  }

  linksOf(child: number): Link[] {
    return this.of(child).map((link) => ({ parent: this.#keys.fid(link.parent), name: Buffer.from(link.name) }));
  }

  /** The file of that name, by key. */
  at(parent: number, name: Uint8Array): number | undefined {
    return this.#at.get(parent, name)?.[0] as number | undefined;
  }

  children(parent: number, after: Uint8Array, limit: number): { name: Buffer; key: number }[] {
    return this.#children
      .all(parent, after, limit)
      .map((row) => ({ name: Buffer.from(row[0] as Uint8Array), key: row[1] as number }));
  }

  /** Paths of many: directories on the way are walked once for all of them. */
  walker(): PathWalker {
    return new PathWalker(this, this.#keys);
  }

  /** Where a name counts: the directory that a stripe belongs to. Asked once for each directory of a batch. */
  directoryOf(parent: number): number {
    let directory = this.#directories.get(parent);
    if (directory === undefined) {
      directory = (this.#shard.get(parent)?.[0] as number | undefined) ?? parent;
      this.#directories.set(parent, directory);
    }
    return directory;
  }
}

type DirectoryPath = { readonly ok: true; readonly path: Buffer } | { readonly ok: false; readonly reason: Failure };
type Failure = 'no-name' | 'unknown-parent' | 'loop';

/** Remembers the directories it has walked: for one batch of questions, or a moment, not across changes that count. */
export class PathWalker {
  readonly #links: Links;
  readonly #keys: FidKeys;
  readonly #root: number | undefined;
  readonly #known = new Map<number, DirectoryPath>();

  constructor(links: Links, keys: FidKeys) {
    this.#links = links;
    this.#keys = keys;
    this.#root = keys.find(ROOT_FID);
    if (this.#root !== undefined) this.#known.set(this.#root, { ok: true, path: Buffer.alloc(0) });
  }

  /** Directories that it remembers. */
  get size(): number {
    return this.#known.size;
  }

  isRoot(key: number): boolean {
    return key === this.#root;
  }

  /** Every path of a file, in the order of (parent, name); one result that says why when there is none. */
  pathsOf(key: number): PathResult[] {
    if (key === this.#root) return [{ ok: true, path: Buffer.alloc(0) }];
    const links = this.#links.of(key);
    if (links.length === 0) return [{ ok: false, reason: 'no-name' }];
    return links.map((link) => {
      const above = this.#directory(link.parent);
      if (!above.ok) return above;
      const name = Buffer.from(link.name);
      return { ok: true, path: joinBytes(above.path, name), link: { parent: this.#keys.fid(link.parent), name } };
    });
  }

  /** A directory's path; undefined when nobody knows where it is. */
  pathOfDirectory(key: number): Buffer | undefined {
    const found = this.#directory(key);
    return found.ok ? found.path : undefined;
  }

  /** Walks up to a directory that is known, then down again. */
  #directory(key: number): DirectoryPath {
    const way: { key: number; name: Uint8Array }[] = [];
    let at = key;
    let found = this.#known.get(at);
    while (found === undefined) {
      const link = this.#links.of(at)[0];
      if (link === undefined) found = { ok: false, reason: 'unknown-parent' };
      else if (way.length === MAX_DEPTH) found = { ok: false, reason: 'loop' };
      else {
        way.push({ key: at, name: link.name });
        at = link.parent;
        found = this.#known.get(at);
      }
    }
    for (const step of way.reverse()) {
      if (found.ok) found = { ok: true, path: joinBytes(found.path, step.name) };
      this.#known.set(step.key, found);
    }
    return found;
  }
}
