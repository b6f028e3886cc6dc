/** What `up` writes down, and the other commands read. */
export interface SandboxDescription {
  readonly version: 1;
  /** The blob endpoint, for people. */
  readonly endpoint: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Whether what was read from sandbox.json is such a description. */
export function isDescription(value: unknown): value is SandboxDescription {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1 && 'env' in value;
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/**
 * The variables as lines for `eval` in a POSIX shell. PATH is put in front of the shell's own, so that it may change
 * between `up` and `env`.
 */
export function shellExports(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `export ${name}=${name === 'PATH' ? `${quoted(value)}:"$PATH"` : quoted(value)}\n`)
    .join('');
}
