import { joinBytes } from '../lustre/join-bytes.ts';
import type { FidKeys } from './fid-keys.ts';
import { type Links, MAX_DEPTH, type PathWalker } from './links.ts';
import type { Marks } from './marks.ts';
import type { Tombstones } from './tombstones.ts';
import type { Link } from './types.ts';

/** A dead one of the batch: where it was, or the last name that it lost. */
export interface LastPlace {
  readonly path: Buffer | undefined;
  readonly last: Link | undefined;
}

/**
 * Paths of names that the dead lost, of which nobody has seen more. Their directories may be dead, too, or not looked at
 * yet: these are found by the batch's own dead, by tombstones, and by the names that stay with marks.
 */
export class LastPaths {
  readonly #tables: { readonly keys: FidKeys; readonly marks: Marks; readonly tombstones: Tombstones };
  readonly #links: Links;
  readonly #walker: PathWalker;
  readonly #dead: ReadonlyMap<number, LastPlace>;

  /** @param dead the batch's dead, by their keys */
  constructor(
    tables: { readonly keys: FidKeys; readonly links: Links; readonly marks: Marks; readonly tombstones: Tombstones },
    dead: ReadonlyMap<number, LastPlace>,
  ) {
    this.#tables = tables;
    this.#links = tables.links;
    this.#walker = tables.links.walker();
    this.#dead = dead;
  }

  /** @returns undefined: nobody knows where that is */
  of(last: Link): Buffer | undefined {
    let { name } = last;
    let parent: Link['parent'] | undefined = last.parent;
    for (let depth = 0; parent !== undefined && depth < MAX_DEPTH; depth++) {
      const found = this.#tables.keys.find(parent);
      if (found === undefined) return undefined;
      const key = this.#links.directoryOf(found);
      const path =
        this.#dead.get(key)?.path ?? this.#walker.pathOfDirectory(key) ?? this.#tables.tombstones.pathOf(key);
      if (path !== undefined) return joinBytes(path, name);
      const above: Link | undefined = this.#dead.get(key)?.last ?? this.#tables.marks.lastOf(key);
      if (above !== undefined) name = joinBytes(above.name, name);
      parent = above?.parent;
    }
    return undefined;
  }
}
