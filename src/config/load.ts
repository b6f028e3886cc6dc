import { readFile } from 'node:fs/promises';
import { closest } from '../service/closest.ts';
import { OperatorError } from '../service/errors.ts';
import { holdsSecret } from '../service/redact.ts';
import { ConfigError, type Problem } from './config-error.ts';
import { DEFAULT_CONFIG_FILE } from './default-file.ts';
import { type Assignment, environmentAssignments, unknownVariables, variableNames } from './environment.ts';
import { findingsOf } from './problems.ts';
import { configSchema, type RawConfig } from './schema.ts';
import { type Config, toConfig } from './types.ts';
import { parseYaml, type YamlSource } from './yaml-source.ts';

/** Where a value comes from. */
export type Origin =
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'default' };

/** What a command line says: `flag` as the operator typed it, `path` in the configuration. */
export interface FlagValue {
  readonly flag: string;
  readonly path: string;
  readonly value: unknown;
}

export interface LoadOptions {
  /** `--config`; without it LFSAZSYNC_CONFIG, then /etc/lfsazsync/config.yaml, which alone may be absent. */
  readonly file?: string | undefined;
  readonly flags?: readonly FlagValue[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The same with its keys as in the file. */
  readonly raw: RawConfig;
  readonly file: string | undefined;
  /** Where the value at a path such as `copytool.concurrency` comes from. */
  origin(path: readonly string[]): Origin;
  /** What is odd, but not wrong. */
  readonly warnings: readonly string[];
  /** The same file and environment, as they were read, with further settings laid over them. Throws as `loadConfig`. */
  with(flags: readonly FlagValue[]): LoadedConfig;
}

/**
 * Reads the configuration: flag before environment before file before default.
 * @throws ConfigError with every problem found and its place; OperatorError when the file can't be read
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const env = options.env ?? process.env;
  const read = await readSource(options.file, env);
  return resolve(read, env, options.flags ?? []);
}

interface ReadConfig {
  readonly name: string | undefined;
  readonly source: YamlSource | undefined;
}

function resolve(
  read: ReadConfig,
  env: Readonly<Record<string, string | undefined>>,
  flags: readonly FlagValue[],
): LoadedConfig {
  const { name, source } = read;
  const fileTree = source?.tree ?? {};
  const assignments = [
    ...environmentAssignments(env, hasArchiveOne(fileTree)),
    ...flags.map(
      ({ flag, path, value }): Assignment => ({ path: path.split('.'), value, by: { kind: 'flag', name: flag } }),
    ),
  ];
  const tree = merge(fileTree, assignments);
  const origin = originsOf(assignments, name, source);
  const where = (path: readonly string[], at: 'key' | 'value', offset?: number) =>
    placeOf(path, at, origin, name, source, offset);

  const problems: Problem[] = inlineSecrets(fileTree).map((path) => ({
    where: where(path, 'value'),
    path: path.join('.'),
    message:
      'holds a secret: secrets stay in a file of their own (mode 0600) or in the environment, named by the credential',
  }));
  const result = configSchema.safeParse(tree);
  if (!result.success) {
    for (const finding of findingsOf(result.error.issues, tree)) {
      const path = finding.path.join('.');
      if (problems.every((problem) => problem.path !== path)) {
        problems.push({ where: where(finding.path, finding.at, finding.offset), path, message: finding.message });
      }
    }
  }
  if (problems.length > 0 || !result.success) {
    const hint =
      name === undefined && problems.some((problem) => problem.where === '')
        ? `There is no ${DEFAULT_CONFIG_FILE}: write one with 'lfsazsync config init', or set the variables of docs/configuration.md.`
        : "Correct it and check it with 'lfsazsync config validate'.";
    throw new ConfigError(problems, hint);
  }
  return {
    config: toConfig(result.data),
    raw: result.data,
    file: name,
    origin,
    warnings: misspeltVariables(env),
    with: (further) => resolve(read, env, [...flags, ...further]),
  };
}

async function readSource(
  asked: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ReadConfig> {
  const explicit = asked ?? (env['LFSAZSYNC_CONFIG'] || undefined);
  const name = explicit ?? DEFAULT_CONFIG_FILE;
  let text: string;
  try {
    text = await readFile(name, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && explicit === undefined) return { name: undefined, source: undefined };
    throw new OperatorError(`can't read the configuration ${name}: ${code === 'ENOENT' ? 'no such file' : code}`, {
      code: 'CONFIG_UNREADABLE',
      exit: 'usage',
      hint: code === 'ENOENT' ? `Write one with 'lfsazsync config init ${name}'.` : 'Check its permissions.',
      cause,
    });
  }
  const parsed = parseYaml(text);
  if ('source' in parsed) return { name, source: parsed.source };
  throw new ConfigError(
    parsed.faults.map(({ line, column, message }) => ({ where: `${name}:${line}:${column}`, path: '', message })),
    'The file must be YAML; see docs/configuration.md.',
  );
}

function hasArchiveOne(tree: Record<string, unknown>): boolean {
  const archives = tree['archives'];
  return typeof archives === 'object' && archives !== null && Object.hasOwn(archives, '1');
}

/** The file's tree with the assignments laid over it. What is no map in the file is left for the schema to refuse. */
function merge(fileTree: Record<string, unknown>, assignments: readonly Assignment[]): Record<string, unknown> {
  const tree = structuredClone(fileTree);
  // A key without a value is a key left empty by the writer of the file: as if it were not there.
  dropEmpty(tree);
  for (const { path, value } of assignments) {
    let place: unknown = tree;
    for (const part of path.slice(0, -1)) {
      if (!isMap(place)) break;
      place[part] ??= {};
      place = place[part];
    }
    const key = path.at(-1) as string;
    if (!isMap(place)) continue;
    if (value === undefined) delete place[key];
    else place[key] = value;
  }
  return tree;
}

function dropEmpty(tree: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(tree)) {
    if (value === null) delete tree[key];
    else if (isMap(value)) dropEmpty(value);
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function originsOf(assignments: readonly Assignment[], name: string | undefined, source: YamlSource | undefined) {
  return (path: readonly string[]): Origin => {
    const assigned = assignments.findLast((assignment) => assignment.path.every((part, i) => part === path[i]));
    if (assigned !== undefined) return assigned.by;
    const position = source?.valueAt(path);
    return position === undefined || name === undefined
      ? { kind: 'default' }
      : { kind: 'file', file: name, ...position };
  };
}

/** The place to name in an error: of the value, of its key, or of the map that lacks it. */
function placeOf(
  path: readonly string[],
  at: 'key' | 'value',
  origin: (path: readonly string[]) => Origin,
  name: string | undefined,
  source: YamlSource | undefined,
  offset: number | undefined,
): string {
  const from = origin(path);
  if (from.kind === 'flag') return from.name;
  if (from.kind === 'environment') return `environment variable ${from.name}`;
  if (name === undefined) return '';
  const character = offset === undefined ? undefined : source?.within(path, offset);
  if (character !== undefined) return `${name}:${character.line}:${character.column}`;
  for (let length = path.length; length > 0; length -= 1) {
    const part = path.slice(0, length);
    const position = at === 'key' || length < path.length ? source?.keyAt(part) : source?.valueAt(part);
    if (position !== undefined) return `${name}:${position.line}:${position.column}`;
  }
  return name;
}

/** Paths of texts in the file that are secrets by their form. */
function inlineSecrets(tree: unknown, path: readonly string[] = []): string[][] {
  if (typeof tree === 'string') return holdsSecret(tree) ? [[...path]] : [];
  if (typeof tree !== 'object' || tree === null) return [];
  return Object.entries(tree).flatMap(([key, value]) => inlineSecrets(value, [...path, key]));
}

function misspeltVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  return unknownVariables(env).map((name) => {
    const suggestion = closest(name, variableNames());
    return `the environment variable ${name} has no meaning${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`;
  });
}
