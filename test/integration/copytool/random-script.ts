import { FAULTS, type FaultKind } from '../../support/faults.ts';
import { SIDES, type Side } from '../../support/machine.ts';
import type { Random } from '../../support/random.ts';

/*
 * What happens in a run of the property test: a list of plain values, so that it can be printed, cut down and played
 * again. Contents are numbers that bytes are made of; what does not fit the state it meets does nothing.
 */

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
