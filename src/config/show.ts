import { redact } from '../service/redact.ts';
import { formatBytes, formatDuration, formatRate } from '../service/units.ts';
import { keyOf } from './keys.ts';
import type { LoadedConfig, Origin } from './load.ts';

/** One setting in force, as an operator would write it, and where it comes from. */
export interface Setting {
  readonly path: string;
  readonly value: string;
  readonly origin: Origin;
}

/** Every setting that has a value, in the schema's order; secrets are not among them, only where they are kept. */
export function settingsOf(loaded: LoadedConfig): Setting[] {
  return [...leaves(loaded.raw, [])].map(([path, value]) => ({
    path: path.join('.'),
    value: redact(show(path, value)),
    origin: loaded.origin(path),
  }));
}

/** The origin in a few words: `file.yaml:3`, `LFSAZSYNC_MOUNT`, `--log-level`, `default`. */
export function formatOrigin(origin: Origin): string {
  if (origin.kind === 'default') return 'default';
  return origin.kind === 'file' ? `${origin.file}:${origin.line}` : origin.name;
}

function* leaves(value: unknown, path: readonly string[]): Generator<[readonly string[], unknown]> {
  const many = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'object');
  if (typeof value !== 'object' || value === null || (Array.isArray(value) && !many)) {
    if (value !== undefined) yield [path, value];
    return;
  }
  for (const [key, child] of Object.entries(value)) yield* leaves(child, [...path, key]);
}

function show(path: readonly string[], value: unknown): string {
  const unit = keyOf(path)?.unit;
  if (typeof value !== 'number') return Array.isArray(value) ? value.join(', ') : String(value);
  if (unit === 'bytes') return formatBytes(value);
  if (unit === 'bytes per second') return formatRate(value);
  if (unit === 'percent') return `${value}%`;
  return unit === 'milliseconds' ? formatDuration(value) : String(value);
}
