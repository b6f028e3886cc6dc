import type { RawClasses, RawPolicies } from './policy-schema.ts';
import type { RawArchive, RawConfig } from './schema.ts';

type CamelKey<K> = K extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelKey<Tail>>}` : K;
type Camel<T> = T extends readonly (infer Item)[]
  ? readonly Item[]
  : T extends object
    ? { readonly [K in keyof T as CamelKey<K>]: Camel<T[K]> }
    : T;

/** One archive id and its container. `endpoint` is absent with a connection string, which carries it. */
export type ArchiveConfig = Camel<RawArchive> & { readonly id: number };

/** A class of files, its definition as it was written. */
export type ClassConfig = Camel<RawClasses[string]>;

/** A policy; conditions as they were written. src/policy/policies.ts makes of it what a run needs. */
export type PolicyConfig = Omit<Camel<RawPolicies[string]>, 'rules'> & {
  readonly rules: ReadonlyMap<string, Camel<RawPolicies[string]['rules'][string]>>;
};

/** How to sign in; where there is a secret, the file or variable that holds it, read by `readSecret`. */
export type CredentialConfig = ArchiveConfig['credential'];

/** What the engines get: keys in camel case, sizes in bytes, durations in milliseconds, everything filled in. */
export type Config = Camel<Omit<RawConfig, 'archives' | 'log' | 'classes' | 'policies'>> & {
  /** In the order of the file, as the rules are. */
  readonly classes: ReadonlyMap<string, ClassConfig>;
  readonly policies: ReadonlyMap<string, PolicyConfig>;
  readonly archives: ReadonlyMap<number, ArchiveConfig>;
  readonly log: { readonly level: RawConfig['log']['level']; readonly file?: string; readonly auditFile: string };
};

/** The validated tree with its keys in camel case. */
export function toConfig(raw: RawConfig): Config {
  const { archives, log, classes, policies, ...rest } = raw;
  return {
    ...(camel(rest) as Camel<typeof rest>),
    log: {
      level: log.level,
      ...(log.file === undefined ? {} : { file: log.file }),
      auditFile: log.audit_file ?? `${raw.state_dir}/audit.log`,
    },
    classes: mapOf(classes, (value) => camel(value) as ClassConfig),
    policies: mapOf(policies, ({ rules, ...policy }) => ({
      ...(camel(policy) as Camel<typeof policy>),
      rules: mapOf(rules, (rule) => camel(rule) as Camel<typeof rule>),
    })),
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

/** Names are the operator's, and stay as they are. */
function mapOf<In, Out>(record: Readonly<Record<string, In>>, change: (value: In) => Out): Map<string, Out> {
  return new Map(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

function camel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camel);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()),
      camel(item),
    ]),
  );
}
