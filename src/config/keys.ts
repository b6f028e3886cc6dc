import * as z from 'zod';
import { configSchema } from './schema.ts';

/** What a number of the loaded configuration counts. */
export type Unit = 'bytes' | 'bytes per second' | 'milliseconds' | 'percent';

/** One setting of the schema. A `*` in the path stands for any key (an archive id). */
export interface ConfigKey {
  readonly path: readonly string[];
  readonly description: string;
  /** As an operator would write it; undefined when the setting is optional or required. */
  readonly defaultText?: string;
  readonly required: boolean;
  /** The allowed words, when there are only so many. */
  readonly choices?: readonly string[];
  readonly unit?: Unit;
  readonly list: boolean;
  /** The environment variable of a setting outside `archives`. */
  readonly env?: string;
}

/** Two names that were agreed before the general rule `LFSAZSYNC_` + path. */
const SHORT_NAMES: Readonly<Record<string, string>> = { mdts: 'LFSAZSYNC_MDT', liblustreapi: 'LFSAZSYNC_LLAPI' };

/** All settings, in the schema's order. */
export function configKeys(): readonly ConfigKey[] {
  keys ??= [...walk(configSchema, [])];
  return keys;
}

/** Walked once: the schema never changes. */
let keys: readonly ConfigKey[] | undefined;

/** The keys that may stand at a place, for suggestions; empty where any key may. */
export function keysAt(path: readonly string[]): readonly string[] {
  const names = new Set<string>();
  for (const key of configKeys()) {
    const matches = path.every((part, index) => key.path[index] === part || key.path[index] === '*');
    const next = key.path[path.length];
    if (matches && next !== undefined && next !== '*') names.add(next);
  }
  return [...names];
}

/** The setting that a concrete path belongs to, such as `archives.1.container`. */
export function keyOf(path: readonly string[]): ConfigKey | undefined {
  return configKeys().find(
    (key) => key.path.length === path.length && key.path.every((part, i) => part === '*' || part === path[i]),
  );
}

function* walk(schema: z.core.$ZodType, path: readonly string[]): Generator<ConfigKey> {
  const { inner, defaultValue, optional, unit, description } = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    for (const [name, child] of Object.entries(inner.shape)) yield* walk(child, [...path, name]);
  } else if (inner instanceof z.ZodRecord) {
    yield* walk(inner.def.valueType, [...path, '*']);
  } else if (inner instanceof z.ZodArray && unwrap(inner.element).inner instanceof z.ZodObject) {
    yield* walk(inner.element, [...path, '*']);
  } else if (inner instanceof z.ZodDiscriminatedUnion) {
    yield* credentialKeys(inner, path, description);
  } else {
    const env = path.includes('*')
      ? undefined
      : (SHORT_NAMES[path.join('.')] ?? `LFSAZSYNC_${path.join('_').toUpperCase()}`);
    yield {
      path,
      description,
      required: !optional && defaultValue === undefined,
      list: inner instanceof z.ZodArray,
      ...(defaultValue === undefined ? {} : { defaultText: String(defaultValue) }),
      ...(inner instanceof z.ZodEnum ? { choices: inner.options.map(String) } : {}),
      ...(unit === undefined ? {} : { unit }),
      ...(env === undefined ? {} : { env }),
    };
  }
}

/** The members of a union told apart by `type`: the types once, then each further key once. */
function* credentialKeys(
  union: z.ZodDiscriminatedUnion,
  path: readonly string[],
  description: string,
): Generator<ConfigKey> {
  const members = union.options.map((option) => unwrap(option).inner).filter((inner) => inner instanceof z.ZodObject);
  const choices = members.map((member) => [...unwrap(member.shape['type'] as z.ZodLiteral).values][0] ?? '');
  yield { path: [...path, 'type'], description, required: true, choices, list: false };
  const seen = new Set(['type']);
  for (const member of members) {
    for (const [name, child] of Object.entries(member.shape)) {
      if (seen.has(name)) continue;
      seen.add(name);
      yield* walk(child, [...path, name]);
    }
  }
}

interface Unwrapped {
  inner: z.core.$ZodType;
  defaultValue: unknown;
  optional: boolean;
  unit: Unit | undefined;
  description: string;
  values: readonly string[];
}

/** Looks through optional, default, pipe and union wrappers for what a setting really is. */
function unwrap(schema: z.core.$ZodType): Unwrapped {
  const found: Unwrapped = {
    inner: schema,
    defaultValue: undefined,
    optional: false,
    unit: undefined,
    description: '',
    values: [],
  };
  for (;;) {
    const meta = z.globalRegistry.get(found.inner) as { description?: string; unit?: Unit } | undefined;
    found.description ||= meta?.description ?? '';
    found.unit ??= meta?.unit;
    const current = found.inner;
    if (current instanceof z.ZodOptional) found.optional = true;
    if (current instanceof z.ZodPrefault) found.defaultValue = current.def.defaultValue;
    if (current instanceof z.ZodOptional || current instanceof z.ZodPrefault) found.inner = current.def.innerType;
    else if (current instanceof z.ZodPipe) {
      // A transform reads from `in`; a bare transform is its own kind and has nothing below.
      if (current.def.in instanceof z.ZodUnknown) return found;
      // With a transform before it, the setting is what comes out.
      found.inner = current.def.in instanceof z.ZodTransform ? current.def.out : current.def.in;
    } else if (current instanceof z.ZodUnion && !(current instanceof z.ZodDiscriminatedUnion)) {
      found.unit ??= current.options
        .map((option) => unwrap(option as z.core.$ZodType).unit)
        .find((unit) => unit !== undefined);
      return found;
    } else {
      if (current instanceof z.ZodLiteral) found.values = [...current.values].map(String);
      return found;
    }
  }
}
