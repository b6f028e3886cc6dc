import type { Policy } from '../policies.ts';

/** Ends a run in which too much fails: from so many errors on, when they are such a share of what came to its end. */
export class Suspension {
  readonly #limits: Policy['suspend'];
  #errors = 0;
  #good = 0;

  constructor(limits: Policy['suspend']) {
    this.#limits = limits;
  }

  count(outcome: 'good' | 'error'): void {
    if (outcome === 'good') this.#good += 1;
    else this.#errors += 1;
  }

  get due(): boolean {
    const { errors, share } = this.#limits;
    return this.#errors >= errors && 100 * this.#errors >= share * (this.#errors + this.#good);
  }

  /** For people. */
  get text(): string {
    return `${this.#errors} of ${this.#errors + this.#good} failed`;
  }
}
