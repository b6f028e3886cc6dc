import type { RawArchive, RawConfig } from './schema.ts';

type CamelKey<K> = K extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelKey<Tail>>}` : K;
type Camel<T> = T extends readonly (infer Item)[]
  ? readonly Item[]
  : T extends object
    ? { readonly [K in keyof T as CamelKey<K>]: Camel<T[K]> }
    : T;

/** One archive id and its container. `endpoint` is absent with a connection string, which carries it. */
export type ArchiveConfig = Camel<RawArchive> & { readonly id: number };

/** How to sign in; where there is a secret, the file or variable that holds it, read by `readSecret`. */
export type CredentialConfig = ArchiveConfig['credential'];

/** What the engines get: keys in camel case, sizes in bytes, durations in milliseconds, everything filled in. */
export type Config = Camel<Omit<RawConfig, 'archives' | 'log'>> & {
  readonly archives: ReadonlyMap<number, ArchiveConfig>;
  readonly log: { readonly level: RawConfig['log']['level']; readonly file?: string; readonly auditFile: string };
};

/** The validated tree with its keys in camel case. */
export function toConfig(raw: RawConfig): Config {
  const { archives, log, ...rest } = raw;
  return {
    ...(camel(rest) as Camel<typeof rest>),
    log: {
      level: log.level,
      ...(log.file === undefined ? {} : { file: log.file }),
      auditFile: log.audit_file ?? `${raw.state_dir}/audit.log`,
    },
    archives: new Map(
      Object.entries(archives)
        .map(([id, value]): [number, ArchiveConfig] => [
          Number(id),
          { ...(camel(value) as Camel<RawArchive>), id: Number(id) },
        ])
        .sort(([a], [b]) => a - b),
    ),
  };
}

function camel(value: unknown): unknown {
  if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()),
      camel(item),
    ]),
  );
}
