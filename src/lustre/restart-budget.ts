/** How often a helper that dies is started again, within which time (milliseconds): beyond that, something is wrong. */
const RESTARTS = 20;
const WITHIN_MS = 10 * 60_000;

/** Counts restarts: a few are repaired, many are a failure that must be seen. */
export class RestartBudget {
  #times: number[] = [];

  /** Whether one more is all right; counts it if so. */
  take(): boolean {
    const now = performance.now();
    this.#times = this.#times.filter((time) => now - time < WITHIN_MS);
    if (this.#times.length >= RESTARTS) return false;
    this.#times.push(now);
    return true;
  }
}
