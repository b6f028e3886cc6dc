import type { Clock } from './clock.ts';
import type { RunContext } from './context.ts';

/** A pause is told of so often: who waits for the next period, or for archives to end, is not stuck. Milliseconds. */
const SLICE_MS = 1_000;

/**
 * The same to work with, and `onTurn` is told of everything that a run has come through: an answer of Lustre, of the
 * coordinator, of the catalog to a change, a piece of a pause, a step of a removal. What answers no more, tells nothing.
 */
export function withTurns(context: RunContext, onTurn: () => void): RunContext {
  const told =
    <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      try {
        return await work(...args);
      } finally {
        onTurn();
      }
    };
  const { files, source, effects, clock, osts, verifier, reaper } = context;
  return {
    ...context,
    files: { getMany: told(files.getMany.bind(files)), setHsm: told(files.setHsm.bind(files)) },
    source: { look: told(source.look.bind(source)), stripes: told(source.stripes.bind(source)) },
    effects: { ...effects, send: told(effects.send), note: told(effects.note) },
    clock: { now: () => clock.now(), sleep: sliced(clock, onTurn) },
    osts: told(osts),
    verifier: async () => {
      const copies = await verifier();
      return { ...copies, verify: told(copies.verify.bind(copies)) };
    },
    reaper: async () => {
      const parts = await reaper();
      return { ...parts, step: told(parts.step) };
    },
  };
}

function sliced(clock: Clock, onTurn: () => void): Clock['sleep'] {
  return async (milliseconds, signal) => {
    for (let left = milliseconds; left > 0; left -= SLICE_MS) {
      await clock.sleep(Math.min(left, SLICE_MS), signal);
      onTurn();
    }
  };
}
