/**
 * Sizes and durations as operators write them. As in `lfs` and Robinhood, sizes are in powers of 1,024: `K`, `KB` and
 * `KiB` are the same. A duration always says its unit.
 */

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };
const SIZE_PATTERN = /^(\d{1,18})(?:\.(\d{1,9}))?\s*([kmgtp]?)(?:i?b)?$/i;

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  sec: 1_000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  w: 7 * 86_400_000,
  week: 7 * 86_400_000,
  y: 365 * 86_400_000,
  year: 365 * 86_400_000,
};
const DURATION_PART = /(\d{1,15})(?:\.(\d{1,6}))?\s*(ms|min|sec|hour|day|week|year|s|m|h|d|w|y)/y;

/**
 * Reads a size such as `4096`, `16MiB`, `10G` or `1.5T`.
 * @returns bytes, a safe integer
 * @throws RangeError that says what is wrong with the text
 */
export function parseBytes(text: string | number): number {
  const match = SIZE_PATTERN.exec(String(text).trim());
  if (match === null)
    throw new RangeError("not a size: write a number with an optional unit, such as '16MiB' or '10G'");
  const [, whole = '', fraction = '', unit = ''] = match;
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * 1024n ** BigInt(SIZE_UNITS[unit.toLowerCase()] ?? 0);
  if (scaled % scale !== 0n) throw new RangeError('not a whole number of bytes');
  return safe(scaled / scale, 'bytes');
}

/** Bytes for people: exact in the largest unit that divides them, otherwise with one decimal (`1.4GiB`). */
export function formatBytes(bytes: number | bigint): string {
  const value = BigInt(bytes);
  if (value < 0n) return `-${formatBytes(-value)}`;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let power = 0;
  while (power < units.length - 1 && value >= 1024n ** BigInt(power + 1)) power += 1;
  const divisor = 1024n ** BigInt(power);
  const tenths = (value * 10n) / divisor;
  const digits = value % divisor === 0n ? String(value / divisor) : `${tenths / 10n}.${tenths % 10n}`;
  return `${digits}${units[power]}`;
}

const BIT_RATE_PATTERN = /^(\d{1,15})(?:\.(\d{1,9}))?\s*([kmgt]?)(?:bit\/s|bps)$/i;
const BIT_RATE_UNITS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4 };

/**
 * Reads a rate such as `500MB/s` (bytes, units as of sizes; `/s` may be left out) or `10Gbit/s` (bits in powers of
 * 1,000, as lines are sold).
 * @returns bytes per second, a safe integer
 * @throws RangeError that says what is wrong with the text
 */
export function parseRate(text: string | number): number {
  const source = String(text).trim();
  const bits = BIT_RATE_PATTERN.exec(source);
  if (bits !== null) {
    const [, whole = '', fraction = '', unit = ''] = bits;
    const scaled = BigInt(whole + fraction) * 1000n ** BigInt(BIT_RATE_UNITS[unit.toLowerCase()] ?? 0);
    return safe(scaled / 10n ** BigInt(fraction.length) / 8n, 'bytes per second');
  }
  if (/[kKmMgGtTpP]b(\s*\/\s*s)?$/.test(source))
    throw new RangeError("'b' may mean bits or bytes: write 'MiB/s' for bytes or 'Mbit/s' for bits");
  try {
    return parseBytes(source.replace(/\s*\/\s*s$/i, ''));
  } catch {
    throw new RangeError("not a rate: write it as '500MiB/s' or '10Gbit/s'");
  }
}

/** Bytes per second for people: `500MiB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/**
 * Reads a duration such as `30m`, `1d`, `250ms` or `1h30m`; `0` alone needs no unit. A year has 365 days.
 * @returns milliseconds, a safe integer
 * @throws RangeError that says what is wrong with the text
 */
export function parseDuration(text: string | number): number {
  const source = String(text).trim().toLowerCase();
  if (source === '0') return 0;
  if (/^\d+(\.\d+)?$/.test(source))
    throw new RangeError(`a duration needs a unit, such as '${source}s' or '${source}m'`);
  let milliseconds = 0n;
  let position = 0;
  while (position < source.length) {
    DURATION_PART.lastIndex = position;
    const match = DURATION_PART.exec(source);
    if (match === null) throw new RangeError("not a duration: write it as '30s', '5m', '1h30m' or '2d'");
    const [part, whole = '', fraction = '', unit = ''] = match;
    const scale = 10n ** BigInt(fraction.length);
    const scaled = BigInt(whole + fraction) * BigInt(DURATION_UNITS[unit] ?? 0);
    if (scaled % scale !== 0n) throw new RangeError('not a whole number of milliseconds');
    milliseconds += scaled / scale;
    position += part.length;
  }
  if (position === 0) throw new RangeError("not a duration: write it as '30s', '5m', '1h30m' or '2d'");
  return safe(milliseconds, 'milliseconds');
}

/** Milliseconds for people, exact, in at most as many parts as are needed: `1d2h`, `90s` as `1m30s`, `0s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 0) return `-${formatDuration(-milliseconds)}`;
  let rest = Math.round(milliseconds);
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = DURATION_UNITS[unit] as number;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === '' ? '0s' : text;
}

function safe(value: bigint, unit: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new RangeError(`too large: more than ${Number.MAX_SAFE_INTEGER} ${unit}`);
  return Number(value);
}
