import type { Entry } from '../../catalog/types.ts';
import type { OstReport } from './types.ts';

const BLOCK = 512;

/**
 * What a release by the watermark has to free, OST by OST. A file on several of them counts for each with an equal
 * share: a client is not told more cheaply what it has where.
 */
export class FreeingGoal {
  readonly #excess: ReadonlyMap<number, number>;
  readonly #freed = new Map<number, number>();

  constructor(osts: readonly OstReport[]) {
    this.#excess = new Map(osts.map(({ index, excess }) => [index, excess]));
  }

  /** Whether the OST is at its low mark, once all that counts is released. */
  reached(ost: number): boolean {
    return this.left(ost) <= 0;
  }

  /** Bytes. */
  left(ost: number): number {
    return (this.#excess.get(ost) ?? 0) - (this.#freed.get(ost) ?? 0);
  }

  add(entry: Pick<Entry, 'blocks' | 'osts'>): void {
    this.#change(entry, 1);
  }

  /** It was not released after all. */
  takeBack(entry: Pick<Entry, 'blocks' | 'osts'>): void {
    this.#change(entry, -1);
  }

  #change({ blocks, osts }: Pick<Entry, 'blocks' | 'osts'>, sign: 1 | -1): void {
    const share = (Number(blocks) * BLOCK) / Math.max(1, osts.length);
    for (const ost of osts) this.#freed.set(ost, (this.#freed.get(ost) ?? 0) + sign * share);
  }
}
