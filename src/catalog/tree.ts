import type { Child, Descendant } from './catalog.ts';
import type { Entries } from './entries.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Links } from './links.ts';
import { PAGE } from './pages.ts';

const SLASH = 0x2f;
const NOTHING: Buffer = Buffer.alloc(0);
const READ_AHEAD = 256;
/** Levels below the directory where a walk begins; below that it is a loop that a race has left behind. */
const MAX_DEPTH = 4096;

export interface Level {
  readonly key: number;
  readonly path: Buffer;
  /** The name after which the walk goes on. */
  after: Buffer;
  /** Names that were read ahead, and the next of them. */
  read: { name: Buffer; key: number }[];
  at: number;
}

/** Walks down the names. */
export class Tree {
  readonly #links: Links;
  readonly #entries: Entries;
  readonly #keys: FidKeys;

  constructor(links: Links, entries: Entries, keys: FidKeys) {
    this.#links = links;
    this.#entries = entries;
    this.#keys = keys;
  }

  children(directory: number, after: Buffer | undefined, limit: number): Child[] {
    return this.#links
      .children(directory, after ?? NOTHING, limit)
      .map(({ name, key }) => ({ name, fid: this.#keys.fid(key) }));
  }

  lookup(from: number, path: Buffer): number | undefined {
    let at: number | undefined = from;
    for (const name of segmentsOf(path)) {
      if (at === undefined) return undefined;
      at = this.#links.at(at, name);
    }
    return at;
  }

  /** The way down to where a walk that was at `after` goes on: a level for every directory on it that is still there. */
  resume(directory: number, after: Buffer): Level[] {
    const levels: Level[] = [];
    let at: number | undefined = directory;
    let path = NOTHING;
    for (const name of segmentsOf(after)) {
      if (at === undefined) return levels;
      levels.push(levelAt(at, path, name));
      at = this.#links.at(at, name);
      path = join(path, name);
    }
    // The thing at `after` itself was given; if it is a directory, what it holds comes next.
    if (at !== undefined) levels.push(levelAt(at, path));
    return levels;
  }

  /** The next page of a walk; changes `levels`. Empty: it is at its end. */
  next(levels: Level[]): Descendant[] {
    const page: Descendant[] = [];
    while (page.length < PAGE) {
      const level = levels[levels.length - 1];
      if (level === undefined) break;
      const child = this.#nextChild(level);
      if (child === undefined) {
        levels.pop();
        continue;
      }
      const entry = this.#entries.get(child.key);
      const path = join(level.path, child.name);
      page.push({ fid: this.#keys.fid(child.key), path, ...(entry === undefined ? {} : { entry }) });
      // What has no entry yet may be a directory.
      const inner = entry === undefined || entry.type === 'dir';
      if (inner && levels.length < MAX_DEPTH) levels.push(levelAt(child.key, path));
    }
    return page;
  }

  #nextChild(level: Level): { name: Buffer; key: number } | undefined {
    if (level.at === level.read.length) {
      level.read = this.#links.children(level.key, level.after, READ_AHEAD);
      level.at = 0;
    }
    const child = level.read[level.at++];
    if (child !== undefined) level.after = child.name;
    return child;
  }
}

const levelAt = (key: number, path: Buffer, after = NOTHING): Level => ({ key, path, after, read: [], at: 0 });

function segmentsOf(path: Buffer): Buffer[] {
  const segments: Buffer[] = [];
  for (let from = 0; from < path.length; ) {
    const slash = path.indexOf(SLASH, from);
    const end = slash === -1 ? path.length : slash;
    if (end > from) segments.push(path.subarray(from, end));
    from = end + 1;
  }
  return segments;
}

function join(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, Buffer.of(SLASH), name]);
}
