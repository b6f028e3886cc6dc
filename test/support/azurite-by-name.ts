import { createRequire } from 'node:module';

/**
 * Loaded into Azurite's process before Azurite (`node --import`): its store finds blobs and blocks by their name, and takes
 * them out one by one; and it writes them to disk less often, the more they are.
 *
 * Azurite's own queries begin with the account, and every blob is of the same account: each request looks at every blob
 * there is, several times. Each deletion sorts four indices of all blobs anew. A hundred thousand blobs would cost a second
 * for each. What a query finds, and in which order, is the same; the indices, which serve no other query, are left out. Each five
 * seconds all of them are written to disk at once, during which nothing is answered: a hundred thousand take two seconds.
 */
interface Collection {
  readonly name: string;
  readonly data: readonly Record<string, unknown>[];
  get(id: number, position: true): [unknown, number] | null;
  remove(document: object): void;
  on(event: 'insert' | 'delete', listener: (documents: object | readonly object[]) => void): void;
}
interface Resultset {
  readonly collection: Collection;
  filterInitialized: boolean;
  filteredrows: number[];
  find(this: Resultset, query?: unknown, firstOnly?: boolean): Resultset;
  remove(this: Resultset): Resultset;
}
interface Database {
  /** The timer does not save, closing does. */
  ignoreAutosave?: boolean;
  addCollection(this: Database, name: string, options?: object): Collection;
  saveDatabase(this: Database, callback?: (error?: unknown) => void): void;
}
interface LokiJs {
  readonly prototype: Database;
  readonly Resultset: { readonly prototype: Resultset };
}

/** After a save, so many times as long as it took pass until the next one. */
const REST = 20;
/** What tells the documents of a collection apart: LokiBlobMetadataStore.js of Azurite. */
const KEYS: Record<string, string> = { $BLOBS_COLLECTION$: 'name', $BLOCKS_COLLECTION$: 'blobName' };

const Loki = createRequire(createRequire(import.meta.url).resolve('azurite/package.json'))('lokijs') as LokiJs;

/** The ids (`$loki`) of a collection's documents by their key, kept as documents come and go. */
class ByKey {
  readonly #ids = new Map<string, Set<number>>();

  constructor(collection: Collection, key: string) {
    const each = (documents: object | readonly object[], work: (at: string, id: number) => void) => {
      for (const document of [documents].flat() as Record<string, unknown>[])
        work(String(document[key]), document['$loki'] as number);
    };
    const insert = (at: string, id: number) => {
      const ids = this.#ids.get(at);
      if (ids === undefined) this.#ids.set(at, new Set([id]));
      else ids.add(id);
    };
    const remove = (at: string, id: number) => {
      const ids = this.#ids.get(at);
      ids?.delete(id);
      if (ids?.size === 0) this.#ids.delete(at);
    };
    each(collection.data, insert);
    collection.on('insert', (documents) => each(documents, insert));
    collection.on('delete', (documents) => each(documents, remove));
  }

  /** The places in `data` of what has this key, in their order. */
  positions(collection: Collection, at: string): number[] {
    const found = [...(this.#ids.get(at) ?? [])].map((id) => collection.get(id, true)?.[1]);
    return found.filter((position) => position !== undefined).sort((a, b) => a - b);
  }
}

const byKey = new WeakMap<Collection, ByKey>();

function indexOf(collection: Collection, key: string): ByKey {
  const known = byKey.get(collection) ?? new ByKey(collection, key);
  byKey.set(collection, known);
  return known;
}

const { addCollection, saveDatabase } = Loki.prototype;
Loki.prototype.addCollection = function (name, options) {
  return addCollection.call(this, name, KEYS[name] === undefined ? options : { ...options, indices: [] });
};

Loki.prototype.saveDatabase = function (callback) {
  const began = performance.now();
  this.ignoreAutosave = true;
  saveDatabase.call(this, (error) => {
    const again = () => {
      this.ignoreAutosave = false;
    };
    setTimeout(again, REST * (performance.now() - began)).unref();
    callback?.(error);
  });
};

const { find, remove } = Loki.Resultset.prototype;
Loki.Resultset.prototype.find = function (query, firstOnly) {
  const key = KEYS[this.collection.name];
  const wanted = key === undefined ? undefined : (query as Record<string, unknown> | undefined)?.[key];
  if (key !== undefined && typeof wanted === 'string' && !this.filterInitialized) {
    this.filteredrows = indexOf(this.collection, key).positions(this.collection, wanted);
    this.filterInitialized = true;
  }
  return find.call(this, query, firstOnly);
};

Loki.Resultset.prototype.remove = function () {
  const { collection, filteredrows } = this;
  if (KEYS[collection.name] === undefined) return remove.call(this);
  for (const document of filteredrows.map((row) => collection.data[row] as object)) collection.remove(document);
  this.filteredrows = [];
  return this;
};
