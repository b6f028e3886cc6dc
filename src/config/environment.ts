import { type ConfigKey, configKeys } from './keys.ts';

/** A value for one path, and the flag or variable that gave it. */
export interface Assignment {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly by: { readonly kind: 'environment' | 'flag'; readonly name: string };
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables with a meaning of their own, besides those that the schema gives. */
const FURTHER_NAMES = ['LFSAZSYNC_CONFIG', 'LFSAZSYNC_CONTAINER'];

/**
 * What the environment says: one variable for every setting outside `archives`, and for archive 1
 * `LFSAZSYNC_CONTAINER` and `AZURE_STORAGE_CONNECTION_STRING`. An empty variable counts as not set. The connection
 * string itself is not read here: only that it is to be taken from there.
 * @param hasArchiveOne whether the file names archive 1; without it and without LFSAZSYNC_CONTAINER, a connection string
 *   meant for other programs is passed over.
 */
export function environmentAssignments(env: Environment, hasArchiveOne: boolean): Assignment[] {
  const assignments: Assignment[] = [];
  const assign = (path: readonly string[], value: unknown, name: string) =>
    assignments.push({ path, value, by: { kind: 'environment', name } });
  for (const key of configKeys()) {
    const value = key.env === undefined ? '' : (env[key.env] ?? '');
    if (value !== '') assign(key.path, fromText(key, value), key.env as string);
  }
  const container = env['LFSAZSYNC_CONTAINER'] ?? '';
  if (container !== '') assign(['archives', '1', 'container'], container, 'LFSAZSYNC_CONTAINER');
  const connectionString = env['AZURE_STORAGE_CONNECTION_STRING'] ?? '';
  if (connectionString !== '' && (hasArchiveOne || container !== '')) {
    const name = 'AZURE_STORAGE_CONNECTION_STRING';
    assign(['archives', '1', 'endpoint'], undefined, name);
    assign(['archives', '1', 'credential'], { type: 'connection_string', env: name }, name);
  }
  return assignments;
}

/** Variables that look like ours and mean nothing: most likely misspelt. */
export function unknownVariables(env: Environment): string[] {
  const known = new Set([...FURTHER_NAMES, ...configKeys().map((key) => key.env)]);
  return Object.keys(env).filter(
    (name) => /^LFSAZSYNC_/.test(name) && !/^LFSAZSYNC_(TEST|SANDBOX|DEMO|BENCH)_/.test(name) && !known.has(name),
  );
}

/** Names for suggestions. */
export function variableNames(): string[] {
  return [...FURTHER_NAMES, ...configKeys().flatMap((key) => (key.env === undefined ? [] : [key.env]))];
}

function fromText(key: ConfigKey, text: string): unknown {
  return key.list ? text.split(',').map((part) => part.trim()) : text;
}
