import type { Catalog } from '../catalog/catalog.ts';
import type { CatalogBatch, Checkpoint, ImportedBlob, ImportRange, ImportRangeKey } from '../catalog/types.ts';

/** Where an import keeps how far it is, and what is known of what it meets. */
export interface Ledger {
  /** Ranges that are left, in the order of their names. */
  ranges(limit: number): Promise<ImportRange[]>;
  rangeCount(): Promise<number>;
  /** What stands for the blobs of these names already. */
  known(names: readonly string[]): Promise<Map<string, ImportedBlob>>;
  /** Makes it durable. */
  commit(batch: CatalogBatch): Promise<void>;
}

export class CatalogLedger implements Ledger {
  readonly #catalog: Catalog;
  readonly #archive: number;
  readonly #checkpoint: () => Checkpoint;

  /** @param checkpoint becomes durable together with how far the import is */
  constructor(catalog: Catalog, archive: number, checkpoint: () => Checkpoint) {
    this.#catalog = catalog;
    this.#archive = archive;
    this.#checkpoint = checkpoint;
  }

  ranges(limit: number) {
    return this.#catalog.importRanges(limit);
  }

  rangeCount() {
    return this.#catalog.importRangeCount();
  }

  known(names: readonly string[]) {
    return this.#catalog.importedAt(this.#archive, names);
  }

  async commit(batch: CatalogBatch): Promise<void> {
    await this.#catalog.apply(batch.imports === undefined ? batch : { ...batch, checkpoints: [this.#checkpoint()] });
  }
}

/** A text that tells ranges apart; no name holds a NUL. */
export const rangeKey = ({ place, start = '' }: ImportRangeKey): string => `${place}\0${start}`;

/** Of a dry run: ranges in memory, and nothing else is kept. @param catalog if there is one: what is there already */
export class DryLedger implements Ledger {
  readonly #ranges = new Map<string, ImportRange>();
  readonly #catalog: Catalog | undefined;
  readonly #archive: number;

  constructor(catalog: Catalog | undefined, archive: number) {
    this.#catalog = catalog;
    this.#archive = archive;
  }

  async ranges(limit: number): Promise<ImportRange[]> {
    const first: ImportRange[] = [];
    for (const range of this.#ranges.values()) if (first.push(range) >= limit) break;
    return first;
  }

  async rangeCount(): Promise<number> {
    return this.#ranges.size;
  }

  async known(names: readonly string[]): Promise<Map<string, ImportedBlob>> {
    return this.#catalog === undefined ? new Map() : this.#catalog.importedAt(this.#archive, names);
  }

  async commit({ imports = {} }: CatalogBatch): Promise<void> {
    for (const range of imports.ranges ?? []) this.#ranges.set(rangeKey(range), range);
    for (const range of imports.rangesDone ?? []) this.#ranges.delete(rangeKey(range));
  }
}
