import fc from 'fast-check';
import { FAULTS, type FaultKind } from '../support/faults.ts';

/*
 * What happens in a run: a list of plain values, so that it can be printed, cut down and played again. Names, modes and
 * the like are positions in the lists below; contents are numbers that bytes are made of. What does not fit the state it
 * meets fails, as it does for users, and changes nothing.
 */

/** By uid; root is one of them. */
export const USERS = [0, 1001, 1002] as const;

/** Names of every kind, some of them directories for others; files and directories take each other's names. */
export const PATHS: readonly Buffer[] = [
  ...['a', 'b', 'c', 'd', 'e', 'd/a', 'd/b', 'd/c', 'd/e', 'd/e/a', 'd/e/f', 'd/e/f/a', 'e/a', 'e/b', 'e/f', 'e/f/a'],
  ...['new\nline', 'dot.', 'dot%2E', 'back\\slash/é', 'back\\slash', '.lfsazsync', '.lfsazsync/control', 'd/100% %41'],
].map((path) => Buffer.from(path));
const INVALID = Buffer.concat([Buffer.from('e/'), Buffer.from([0x78, 0xff, 0xfe])]);
export const ALL_PATHS: readonly Buffer[] = [...PATHS, INVALID];

export const MODES = [0o644, 0o600, 0o4755, 0o2755, 0o1777, 0o6711, 0o755, 0o2770, 0o000] as const;
export const TIMES = [0, -86_400, 1_000_000_000, 2_147_483_653, 4_000_000_000] as const;
export const TARGETS: readonly Buffer[] = [
  ...['a', '../d/e', '/somewhere else/100%/%41', 'new\nline', `${'long/'.repeat(700)}end`, 'é'].map((it) =>
    Buffer.from(it),
  ),
  Buffer.from([0x78, 0xff]),
];

/** What a user does with one name. */
const ON_NAME = ['unlink', 'rmdir', 'rmtree', 'mkdir', 'read', 'hold', 'archive', 'release', 'stow', 'remove'] as const;
const ON_DATA = ['create', 'save', 'rewrite', 'append', 'patch', 'truncate', 'write held'] as const;
const ON_TWO = ['rename', 'link', 'copy'] as const;

/** What is killed: a program, its native helpers, or all of it at once. */
export const VICTIMS = ['copytool', 'follower'] as const;
export const SIDES = ['program', 'helpers', 'all'] as const;
/** Commands that are run beside the services, and killed after so many milliseconds unless they have ended. */
export const BESIDE = ['scan', 'sweep', 'archive'] as const;

export type UserOperation = { readonly user: number } & (
  | { readonly do: (typeof ON_NAME)[number]; readonly path: number }
  | { readonly do: (typeof ON_DATA)[number]; readonly path: number; readonly salt: number }
  | { readonly do: (typeof ON_TWO)[number]; readonly path: number; readonly to: number }
  | { readonly do: 'chmod' | 'utime' | 'symlink' | 'setxattr'; readonly path: number; readonly which: number }
  | { readonly do: 'chown'; readonly path: number; readonly to: number; readonly group: number }
  | { readonly do: 'let go' }
);

export type Operation =
  | UserOperation
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'fault'; readonly what: FaultKind; readonly at: string; readonly times: number }
  | { readonly do: 'kill'; readonly what: (typeof VICTIMS)[number]; readonly side: (typeof SIDES)[number] }
  | { readonly do: 'run'; readonly what: (typeof BESIDE)[number]; readonly killAfter: number }
  | { readonly do: 'lose catalog' };

export type Script = readonly Operation[];

/** What faults are made at: operations as the REST reference names them; the empty one is all of them. */
const FAULT_AT = [
  '',
  'Put Blob',
  'Put Block List',
  'Get Blob',
  'Get Blob Properties',
  'Delete Blob',
  'Set Blob Metadata',
];

const user = fc.nat(USERS.length - 1);
const path = fc.nat(ALL_PATHS.length - 1);
const salt = fc.nat(1 << 30);
const one = <const T extends Record<string, fc.Arbitrary<unknown>>>(fields: T) => fc.record(fields);
const named = (what: (typeof ON_NAME)[number]) => one({ do: fc.constant(what), user, path });
const data = (what: (typeof ON_DATA)[number]) => one({ do: fc.constant(what), user, path, salt });
const two = (what: (typeof ON_TWO)[number]) => one({ do: fc.constant(what), user, path, to: path });
const chosen = (what: 'chmod' | 'utime' | 'symlink' | 'setxattr', from: readonly unknown[]) =>
  one({ do: fc.constant(what), user, path, which: fc.nat(from.length - 1) });

/** How often each comes, relative to the others. */
const WEIGHTED: readonly [number, fc.Arbitrary<unknown>][] = [
  [12, data('create')],
  [5, data('save')],
  [3, data('rewrite')],
  [3, data('append')],
  [2, data('patch')],
  [2, data('truncate')],
  [14, two('rename')],
  [4, two('link')],
  [2, two('copy')],
  [4, named('mkdir')],
  [3, named('unlink')],
  [1, named('rmdir')],
  [1, named('rmtree')],
  [4, chosen('chmod', MODES)],
  [3, one({ do: fc.constant('chown'), user: fc.constant(0), path, to: user, group: user })],
  [3, chosen('utime', TIMES)],
  [3, chosen('symlink', TARGETS)],
  [1, chosen('setxattr', MODES)],
  [3, named('read')],
  [5, named('archive')],
  [3, named('release')],
  [10, named('stow')],
  [1, named('remove')],
  [1, named('hold')],
  [1, data('write held')],
  [1, one({ do: fc.constant('let go'), user })],
  [6, one({ do: fc.constant('wait'), ms: fc.nat(400) })],
  [
    2,
    one({
      do: fc.constant('fault'),
      what: fc.constantFrom(...FAULTS),
      at: fc.constantFrom(...FAULT_AT),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  ],
  [3, one({ do: fc.constant('kill'), what: fc.constantFrom(...VICTIMS), side: fc.constantFrom(...SIDES) })],
  [
    1,
    one({ do: fc.constant('run'), what: fc.constantFrom(...BESIDE), killAfter: fc.integer({ min: 50, max: 3_000 }) }),
  ],
  [1, one({ do: fc.constant('lose catalog') })],
];

const operation = fc.oneof(
  ...WEIGHTED.map(([weight, arbitrary]) => ({ weight, arbitrary })),
) as fc.Arbitrary<Operation>;

/** Scripts of about so many operations. */
export const scripts = (length: number): fc.Arbitrary<Script> =>
  fc.array(operation, { minLength: Math.ceil(length / 2), maxLength: length, size: 'max' });

/** The script of a seed: the same every time. */
export function scriptOf(seed: number, length: number): Script {
  const [script] = fc.sample(scripts(length), { seed, numRuns: 1 });
  return script ?? [];
}

/** One line each, to be read. */
export function told(script: Script): string {
  return script.map((operation) => `  ${toldOne(operation)}`).join('\n');
}

export function toldOne(operation: Operation): string {
  const { do: what, ...rest } = operation;
  const lists: Readonly<Record<string, readonly unknown[]>> = {
    chmod: MODES.map((mode) => mode.toString(8)),
    utime: TIMES,
    symlink: TARGETS,
  };
  const words = Object.entries(rest).map(([key, value]) => {
    if (key === 'path' || (key === 'to' && what !== 'chown')) return shown(ALL_PATHS[value as number]);
    if (key === 'user' || what === 'chown') return `${key}=${USERS[value as number]}`;
    if (key === 'which') return shown(lists[what]?.[value as number]);
    return `${key}=${value}`;
  });
  return [what, ...words].join(' ');
}

const shown = (value: unknown) =>
  (Buffer.isBuffer(value) ? JSON.stringify(value.toString('latin1')) : String(value)).slice(0, 60);
