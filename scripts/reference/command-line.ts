import { readFileSync } from 'node:fs';

/** A flag as the manifest has it. */
export interface FlagOf {
  readonly name: string;
  readonly char?: string;
  readonly type: 'boolean' | 'option';
  readonly description?: string;
  /** What stands for its value in help: `FILE`, `DURATION`. */
  readonly helpValue?: string;
  readonly options?: readonly string[];
  readonly multiple?: boolean;
  readonly required?: boolean;
  readonly default?: unknown;
  readonly allowNo?: boolean;
  readonly hidden?: boolean;
  readonly helpGroup?: string;
}

export interface ArgumentOf {
  readonly name: string;
  readonly description?: string;
  readonly required?: boolean;
  readonly options?: readonly string[];
}

/** One command, with its words separated by blanks. */
export interface CommandOf {
  readonly id: string;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
  readonly args: readonly ArgumentOf[];
  /** Takes any number of arguments. */
  readonly variadic: boolean;
  readonly flags: readonly FlagOf[];
}

interface Manifest {
  readonly commands: Readonly<Record<string, ManifestCommand>>;
}

interface ManifestCommand {
  readonly id: string;
  readonly summary?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly args: Readonly<Record<string, ArgumentOf>>;
  readonly flags: Readonly<Record<string, FlagOf>>;
  readonly strict: boolean;
  readonly hidden?: boolean;
}

export const PROGRAM = 'lfsazsync';

/** What the manifest says of all commands, in the order of their names. */
export function commandsOf(manifestFile: string): CommandOf[] {
  const { commands } = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest;
  return Object.values(commands)
    .filter(({ hidden }) => hidden !== true)
    .map((command) => describe(command))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

function describe({ id, summary, description, examples, args, flags, strict }: ManifestCommand): CommandOf {
  const words = id.replaceAll(':', ' ');
  const filled = (text: string) =>
    text.replace(/<%=\s*config\.bin\s*%>/g, PROGRAM).replace(/<%=\s*command\.id\s*%>/g, words);
  return {
    id: words,
    summary: filled(summary ?? ''),
    description: filled(description ?? ''),
    examples: (examples ?? []).filter((one): one is string => typeof one === 'string').map(filled),
    args: Object.values(args).map(withChoices),
    variadic: !strict,
    flags: Object.values(flags)
      .filter(({ hidden }) => hidden !== true)
      .sort((a, b) => (a.helpGroup ?? '').localeCompare(b.helpGroup ?? '') || (a.name < b.name ? -1 : 1)),
  };
}

/** oclif's own help adds them by itself. */
function withChoices(arg: ArgumentOf): ArgumentOf {
  return arg.options === undefined
    ? arg
    : { ...arg, description: `${arg.description ?? ''}: ${arg.options.join(', ')}` };
}

/** `lfsazsync archive [PATH…] [flags]`. */
export function usageOf({ id, args, variadic }: CommandOf): string {
  const named = args.map((arg, index) => {
    const name = `${arg.name.toUpperCase()}${variadic && index === args.length - 1 ? '...' : ''}`;
    return arg.required === true ? name : `[${name}]`;
  });
  return [PROGRAM, id, ...named, '[FLAGS]'].join(' ');
}

/** `-r, --recursive`, `--older-than DURATION`, `--[no-]color`. */
export function flagForm(flag: FlagOf): { readonly names: string[]; readonly value: string | undefined } {
  const long = flag.allowNo === true ? `--[no-]${flag.name}` : `--${flag.name}`;
  const value =
    flag.type === 'boolean' ? undefined : (flag.helpValue ?? flag.options?.join('|') ?? flag.name.toUpperCase());
  return { names: [...(flag.char === undefined ? [] : [`-${flag.char}`]), long], value };
}
