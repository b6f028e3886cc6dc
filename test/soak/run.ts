import { shrink } from '../support/shrink.ts';
import { type Script, scriptOf, told } from './script.ts';
import { play, type Tally, type WorldOptions } from './world.ts';

export type Version = WorldOptions['version'];

export interface RunOptions {
  /** Says what is done, and in which kind of world. */
  readonly seed: number;
  readonly version: Version;
  readonly operations: number;
  /** Milliseconds for cutting down what fails. */
  readonly shrinkFor: number;
  /** In place of the seed's own. */
  readonly script?: Script;
}

export interface RunResult {
  readonly tally: Tally;
  /** What went wrong, after which operations, and how to play it again; undefined: nothing. */
  readonly failure?: string;
}

/** The world of a seed: one metadata server or two, with a scan and a sweep at the end or without. */
export function worldOf(seed: number, version: Version): WorldOptions {
  return { version, mdts: seed % 3 === 0 ? 2 : 1, unaided: seed % 2 === 1 };
}

/** One run. What fails is cut down to a short script as far as the time allows. */
export async function runSeed({ seed, version, operations, shrinkFor, script }: RunOptions): Promise<RunResult> {
  const world = worldOf(seed, version);
  const whole = script ?? scriptOf(seed, operations);
  const { failure, tally } = await play(whole, world);
  if (failure === undefined) return { tally };
  let last = failure;
  const fails = async (fewer: Script): Promise<string | undefined> => {
    const again = await play(fewer, world);
    last = again.failure ?? last;
    return again.failure;
  };
  const short = await shrink(whole, fails, Date.now() + shrinkFor);
  const where = `${version}, ${world.mdts} MDTs, ${world.unaided === true ? 'no scan, no sweep' : 'scan and sweep'}`;
  const again = `npm run soak -- --seed ${seed} --runs 1 --version ${version} --operations ${operations}`;
  return {
    tally,
    failure: `seed ${seed} (${where}) fails: ${again}\n${told(short)}\n${JSON.stringify(short)}\n${last}`,
  };
}
