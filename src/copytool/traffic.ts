import type { Config } from '../config/types.ts';
import { type BucketFigures, RateBucket } from '../service/rate-bucket.ts';

/** The kinds of action that move data. */
export type Direction = 'archive' | 'restore';

type Bandwidth = Pick<Config['copytool'], 'bandwidth' | 'bandwidthArchive' | 'bandwidthRestore'>;

/** The bandwidth limits of one copytool: one for each direction, and one for both. */
export class Traffic {
  readonly #own: Readonly<Record<Direction, RateBucket>> = { archive: new RateBucket(), restore: new RateBucket() };
  readonly #common = new RateBucket();
  /** What every block of a direction goes through. */
  readonly limits: Readonly<Record<Direction, readonly RateBucket[]>> = {
    archive: [this.#own.archive, this.#common],
    restore: [this.#own.restore, this.#common],
  };

  /** Takes effect at once, for what is on its way as well. */
  apply({ bandwidth, bandwidthArchive, bandwidthRestore }: Bandwidth): void {
    setRate(this.#common, bandwidth);
    setRate(this.#own.archive, bandwidthArchive);
    setRate(this.#own.restore, bandwidthRestore);
  }

  /** Stops what is on its way before its next block, or lets it go on. */
  hold(direction: Direction, held: boolean): void {
    this.#own[direction].setHeld(held);
  }

  figures(): Readonly<Record<Direction | 'all', BucketFigures>> {
    return {
      archive: this.#own.archive.figures(),
      restore: this.#own.restore.figures(),
      all: this.#common.figures(),
    };
  }
}

/** A rate that stays is left alone: those who wait need not look again. */
function setRate(bucket: RateBucket, rate: number | 'unlimited'): void {
  const next = rate === 'unlimited' ? undefined : rate;
  if (bucket.figures().rate !== next) bucket.setRate(next);
}
