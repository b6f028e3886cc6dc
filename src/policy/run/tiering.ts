import { classesOf, type PolicyClass } from '../../classes/classes.ts';
import type { Config } from '../../config/types.ts';
import type { PolicySubject } from '../../expression/subject.ts';
import { type Needs, needsOf } from '../../expression/walk.ts';

export interface TieringOptions {
  readonly config: Pick<Config, 'archives' | 'prices'>;
  readonly classes: readonly PolicyClass[];
  /** Milliseconds since 1970: ages are counted from then. */
  readonly now: number;
}

/** In which access tier the copytool would write a file's copy now: what an estimate counts with. */
export class Tiering {
  /** What must be read of a file to tell. */
  readonly needs: Needs;
  readonly #options: TieringOptions;
  readonly #classes: readonly PolicyClass[];

  constructor(options: TieringOptions) {
    this.#options = options;
    this.#classes = options.classes.filter(({ accessTier }) => accessTier !== undefined);
    this.needs = needsOf(...this.#classes.map(({ expression }) => expression));
  }

  of(subject: () => PolicySubject, archive: number): string {
    const { archives, prices } = this.#options.config;
    const own =
      this.#classes.length === 0
        ? undefined
        : classesOf(this.#classes, subject(), this.#options.now).sure[0]?.accessTier;
    return own ?? archives.get(archive)?.accessTier ?? prices.accountTier;
  }
}
