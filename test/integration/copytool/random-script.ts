import { type Interference, startGateway } from '../../support/blob-gateway.ts';
import { SIDES, type Side } from '../../support/machine.ts';
import type { Random } from '../../support/random.ts';

/*
 * What happens in a run of the property test: a list of plain values, so that it can be printed, cut down and played
 * again. Contents are numbers that bytes are made of; what does not fit the state it meets does nothing.
 */

export type FaultKind = 'refused' | 'busy' | 'throttled' | 'answer lost' | 'cut' | 'truncated';

export type Operation =
  | { readonly do: 'save' | 'rewrite' | 'append' | 'patch' | 'truncate'; readonly name: number; readonly salt: number }
  | { readonly do: 'rename' | 'link'; readonly name: number; readonly to: number }
  | {
      readonly do: 'unlink' | 'archive' | 'release' | 'stow' | 'restore' | 'remove' | 'cancel' | 'read' | 'read beside';
      readonly name: number;
    }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'fault'; readonly what: FaultKind; readonly at: string; readonly times: number }
  | { readonly do: 'kill'; readonly machine: number; readonly side: Side };

export type Script = readonly Operation[];

export const NAMES = ['a', 'b', 'c', 'd/a', 'd/b', 'd/e/a', 'f', 'g'] as const;
export const MACHINES = 2;

/** What faults are made at: operations as the REST reference names them; the empty one is all of them. */
const FAULT_AT = ['', 'Put Blob', 'Put Block', 'Put Block List', 'Get Blob', 'Get Blob Properties', 'Delete Blob'];
const FAULTS: readonly FaultKind[] = ['refused', 'busy', 'throttled', 'answer lost', 'cut', 'truncated'];

/** How often each comes, relative to the others. */
const ODDS: Readonly<Record<Operation['do'], number>> = {
  save: 3,
  rewrite: 2,
  append: 3,
  patch: 2,
  truncate: 1,
  rename: 3,
  link: 1,
  unlink: 1,
  archive: 5,
  release: 5,
  stow: 8,
  restore: 1,
  remove: 2,
  cancel: 1,
  read: 4,
  'read beside': 4,
  wait: 3,
  fault: 4,
  kill: 2,
};

const URN = Object.entries(ODDS).flatMap(([what, weight]) =>
  Array<Operation['do']>(weight).fill(what as Operation['do']),
);

/** So many operations at random. */
export function randomScript(random: Random, length: number): Script {
  return Array.from({ length }, () => randomOperation(random));
}

function randomOperation(random: Random): Operation {
  const what = random.pick(URN);
  const name = random.below(NAMES.length);
  switch (what) {
    case 'save':
    case 'rewrite':
    case 'append':
    case 'patch':
    case 'truncate':
      return { do: what, name, salt: random.below(1 << 30) };
    case 'rename':
    case 'link':
      return { do: what, name, to: random.below(NAMES.length) };
    case 'wait':
      return { do: what, ms: random.below(300) };
    case 'fault':
      return { do: what, what: random.pick(FAULTS), at: random.pick(FAULT_AT), times: 1 + random.below(3) };
    case 'kill':
      return { do: what, machine: random.below(MACHINES), side: random.pick(SIDES) };
    default:
      return { do: what, name };
  }
}

/** One line each, to be read. */
export function told(script: Script): string {
  return script
    .map((operation) => {
      const { do: what, ...rest } = operation;
      const words = Object.entries(rest).map(([key, value]) =>
        key === 'name' || key === 'to' ? (NAMES[value as number] ?? '?') : `${value}`,
      );
      return `  ${what} ${words.join(' ')}`;
    })
    .join('\n');
}

/** Faults between the machines and the endpoint, each so often and then no more. */
export class Faults {
  readonly #waiting: { what: FaultKind; at: string; left: number }[] = [];
  struck = 0;

  add({ what, at, times }: { what: FaultKind; at: string; times: number }): void {
    this.#waiting.push({ what, at, left: times });
  }

  clear(): void {
    this.#waiting.length = 0;
  }

  /** What is to be done to a request. */
  strike(operation: string): Interference | undefined {
    const fault = this.#waiting.find(({ at, left }) => left > 0 && (at === '' || at === operation));
    if (fault === undefined) return undefined;
    fault.left -= 1;
    this.struck += 1;
    return INTERFERENCE[fault.what];
  }
}

const INTERFERENCE: Readonly<Record<FaultKind, Interference>> = {
  refused: { answer: { status: 500, code: 'InternalError' } },
  busy: { answer: { status: 503, code: 'ServerBusy', headers: { 'retry-after': '1' } } },
  throttled: { answer: { status: 429, code: 'TooManyRequests', headers: { 'retry-after': '1' } } },
  'answer lost': 'lose-answer',
  cut: 'cut',
  truncated: { truncate: 100 },
};

/** A gateway to the endpoint of a connection string that makes these faults, and the string that leads through it. */
export async function faultyWay(
  connectionString: string,
  faults: Faults,
): Promise<{ connectionString: string; stop(): Promise<void> }> {
  const endpoint = /BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? '';
  const gateway = await startGateway(endpoint);
  gateway.interfere = ({ operation }) => {
    // Bodies are of no more use.
    gateway.requests.length = 0;
    return faults.strike(operation);
  };
  return { connectionString: connectionString.replace(endpoint, gateway.endpoint), stop: () => gateway.stop() };
}

/**
 * Cuts a failing script down: takes pieces out, ever smaller ones, as long as what is left still fails.
 * @param fails plays a script in a fresh world; what went wrong, or undefined
 * @param until no further try after this time (milliseconds since the epoch)
 */
export async function shrink(
  script: Script,
  fails: (script: Script) => Promise<string | undefined>,
  until: number,
): Promise<Script> {
  let best = script;
  for (let size = Math.ceil(best.length / 2); size >= 1; ) {
    let cut = false;
    for (let from = best.length - size; from > -size && Date.now() < until; from -= size) {
      const start = Math.max(from, 0);
      const fewer = [...best.slice(0, start), ...best.slice(start + size)];
      if (fewer.length < best.length && (await fails(fewer)) !== undefined) {
        best = fewer;
        cut = true;
      }
    }
    if (Date.now() >= until) break;
    if (size === 1 && !cut) break;
    size = cut ? Math.min(size, Math.ceil(best.length / 2)) : Math.ceil(size / 2);
    if (!cut && size === 1 && best.length === 1) break;
  }
  return best;
}
