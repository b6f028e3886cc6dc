const FREE = 0;
const TAKEN = 1;
const SPINS = 200;
const NAP_MS = 1;
/** About this many naps without success mean that the holder is gone: a thread that was ended in between. */
const NAPS = 2_000;

/**
 * Calls `work` while no other thread of the process calls one under the same word of shared memory, and gives back its
 * result. For a few lines of arithmetic: it must neither wait nor call anything that can end the thread.
 */
export function exclusively<T>(words: Int32Array, index: number, work: () => T): T {
  lock(words, index);
  try {
    return work();
  } finally {
    Atomics.store(words, index, FREE);
  }
}

function lock(words: Int32Array, index: number): void {
  for (let spin = 0; spin < SPINS; spin += 1) if (take(words, index)) return;
  // Its holder has lost the processor. Nobody notifies: it would cost everybody, for what hardly ever happens.
  for (let nap = 0; nap < NAPS; nap += 1) {
    Atomics.wait(words, index, TAKEN, NAP_MS);
    if (take(words, index)) return;
  }
}

function take(words: Int32Array, index: number): boolean {
  return Atomics.compareExchange(words, index, FREE, TAKEN) === FREE;
}
