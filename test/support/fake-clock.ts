import type { Clock } from '../../src/policy/run/clock.ts';

/** A clock that goes on only when somebody sleeps, and then at once. */
export class FakeClock implements Clock {
  readonly began: number;
  #now: number;

  constructor(began = Date.UTC(2026, 0, 1)) {
    this.began = began;
    this.#now = began;
  }

  now(): number {
    return this.#now;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#now += milliseconds;
  }

  /** Time goes by. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }
}
