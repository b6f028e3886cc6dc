import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { standInObstacle } from '../support/stand-in.ts';
import { type RunResult, runSeed, type Version } from './run.ts';
import type { Script } from './script.ts';

/*
 * The proof of convergence, for as long as one likes:
 *
 *   npm run soak -- --minutes N [--seed S] [--runs N] [--version 2.15|2.17] [--operations N] [--shrink MINUTES] [--script FILE]
 *
 * One run after the other, with the seeds S, S + 1, …; both dialects in turn unless one is named. A line for each run on
 * standard output; what fails is cut down and told on standard error. Ends with 1 when anything failed.
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    runs: { type: 'string' },
    version: { type: 'string' },
    operations: { type: 'string', default: '200' },
    shrink: { type: 'string', default: '10' },
    script: { type: 'string' },
  },
});

/** Worlds whose failures have been told; a broken product would fill the disk with them. */
const MOST_FAILURES = 5;

function numberOf(name: 'minutes' | 'seed' | 'runs' | 'operations' | 'shrink', otherwise: number): number {
  if (values[name] === undefined) return otherwise;
  const number = Number(values[name]);
  if (!Number.isFinite(number) || number < 0) throw new Error(`--${name} is a number, not ${values[name]}`);
  return number;
}

function versionsOf(): readonly Version[] {
  const named = values.version;
  if (named === undefined) return ['2.15', '2.17'];
  if (named !== '2.15' && named !== '2.17') throw new Error(`--version is 2.15 or 2.17, not ${named}`);
  return [named];
}

function line(seed: number, version: Version, { failure, tally }: RunResult, seconds: number): string {
  const { operations, refused, kills, faults, entries, rounds } = tally;
  return `${seed} ${version} ${failure === undefined ? 'ok' : 'FAILED'} ${seconds.toFixed(0)} s: ${operations} operations (${refused} refused), ${kills} kills, ${faults} faults, ${entries} entries left, ${rounds} rounds`;
}

async function main(): Promise<number> {
  const obstacle = standInObstacle();
  if (obstacle !== undefined) throw new Error(obstacle);
  const versions = versionsOf();
  const end = Date.now() + numberOf('minutes', 10) * 60_000;
  const runs = numberOf('runs', values.script === undefined ? Number.POSITIVE_INFINITY : 1);
  const first = numberOf('seed', 0);
  const script =
    values.script === undefined ? {} : { script: JSON.parse(readFileSync(values.script, 'utf8')) as Script };
  let failures = 0;
  for (let run = 0; run < runs && failures < MOST_FAILURES && (run === 0 || Date.now() < end); run++) {
    const [seed, version] = [first + run, versions[run % versions.length] as Version];
    const began = performance.now();
    const shrinkFor = numberOf('shrink', 10) * 60_000;
    const result = await runSeed({ seed, version, operations: numberOf('operations', 200), shrinkFor, ...script });
    console.log(line(seed, version, result, (performance.now() - began) / 1000));
    if (result.failure === undefined) continue;
    failures += 1;
    console.error(result.failure);
  }
  console.log(failures === 0 ? 'nothing was ever wrong' : `${failures} of the runs failed`);
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main();
