import { parseArgs } from 'node:util';

export const ACTIONS = ['up', 'env', 'status', 'down'] as const;
export type Action = (typeof ACTIONS)[number];

export const USAGE = `usage: npm run sandbox -- up|env|status|down [--dir DIR] [--osts N] [--ost-size SIZE] [--mounts N] [--lustre 2.15|2.17]

  up      start a stand-in Lustre and Azurite, or say that they run; the data of an earlier time is taken up again
  env     print the shell exports with which every command works against it: eval "$(npm run -s sandbox -- env)"
  status  say what runs (exit code 1 when it does not)
  down    end both and remove the directory with all data

  --dir DIR        where the sandbox lives (default .sandbox in the project); several live side by side
  --osts N         object storage targets (default 2)
  --ost-size SIZE  size of each, such as 512M or 2G (default 1G)
  --mounts N       Lustre clients, each with a mount of its own (default 1)
  --lustre V       the Lustre version that the stand-in behaves like (default 2.15, which Azure Managed Lustre runs)`;

export interface Arguments {
  readonly action: Action;
  readonly dir: string | undefined;
  readonly osts: number;
  /** Bytes. */
  readonly ostSize: number;
  readonly mounts: number;
  readonly version: '2.15' | '2.17';
}

/** A mistake in the command line: its message and the usage are all that the user needs. */
export class UsageError extends Error {}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Bytes of `512M`, `1G`, `1GiB` or a plain number. */
export function parseSize(text: string): number {
  const match = /^(\d+)([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const unit = UNITS[match?.[2]?.toLowerCase() ?? ''];
  if (match?.[1] === undefined || unit === undefined)
    throw new UsageError(`'${text}' is not a size such as 512M or 2G`);
  const bytes = Number(match[1]) * unit;
  if (bytes < 2 ** 20) throw new UsageError(`an OST of ${text} is too small: 1M at least`);
  return bytes;
}

function parseCount(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max)
    throw new UsageError(`--${name} takes a number from 1 to ${max}, not '${text}'`);
  return value;
}

/** Reads the command line of the sandbox; throws UsageError. */
export function parseArguments(argv: readonly string[]): Arguments {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  const action = ACTIONS.find((name) => name === positionals[0]);
  if (action === undefined || positionals.length !== 1) {
    throw new UsageError(positionals.length === 0 ? 'say what to do' : `unknown: ${positionals.join(' ')}`);
  }
  const version = values.lustre;
  if (version !== '2.15' && version !== '2.17') throw new UsageError(`--lustre takes 2.15 or 2.17, not '${version}'`);
  return {
    action,
    dir: values.dir,
    osts: parseCount('osts', values.osts, 64),
    ostSize: parseSize(values['ost-size']),
    mounts: parseCount('mounts', values.mounts, 8),
    version,
  };
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      dir: { type: 'string' },
      osts: { type: 'string', default: '2' },
      'ost-size': { type: 'string', default: '1G' },
      mounts: { type: 'string', default: '1' },
      lustre: { type: 'string', default: '2.15' },
    },
  });
}
