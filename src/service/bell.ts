/** Wakes a loop that has nothing to do. What rings while nobody waits is not lost. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, when one came since the last wait, when the signal is aborted, or after so many milliseconds. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          this.#wake = undefined;
          resolve();
        };
        const timer = setTimeout(end, Math.max(0, Math.min(milliseconds, LONGEST_TIMER)));
        signal.addEventListener('abort', end, { once: true });
        this.#wake = end;
      });
    }
    this.#rung = false;
  }
}

/** Node takes longer ones for 1 ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A pause that a signal ends early, without an error. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Bell().wait(milliseconds, signal);
}
