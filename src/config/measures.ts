import * as z from 'zod';
import { formatBytes, formatDuration, formatRate, parseBytes, parseDuration, parseRate } from '../service/units.ts';

/** Kinds of settings that say a quantity. Sizes become bytes, durations milliseconds, shares percent. */

function measured(parse: (text: string | number) => number, format: (n: number) => string, min: number, max: number) {
  return z.unknown().transform((value, context): number => {
    const refuse = (message: string) => {
      context.issues.push({ code: 'custom', message, input: value });
      return z.NEVER;
    };
    if (typeof value !== 'string' && typeof value !== 'number') return refuse('must be a text or a number');
    try {
      const parsed = parse(value);
      if (parsed < min || parsed > max) return refuse(`must be from ${format(min)} to ${format(max)}`);
      return parsed;
    } catch (error) {
      return refuse(error instanceof Error ? error.message : String(error));
    }
  });
}

function parseCount(text: string | number): number {
  if (!/^\d{1,15}$/.test(String(text).trim())) throw new RangeError('must be a whole number');
  return Number(text);
}

function parsePrice(text: string | number): number {
  if (!/^\d{1,9}(?:\.\d{1,12})?$/.test(String(text).trim())) throw new RangeError('must be a number such as 0.05');
  return Number(text);
}

function parsePercent(text: string | number): number {
  const match = /^(\d{1,3}(?:\.\d{1,3})?)\s*%?$/.exec(String(text).trim());
  if (match === null) throw new RangeError("must be a share such as '85%'");
  return Number(match[1]);
}

export const size = (min: string, max: string) =>
  measured(parseBytes, formatBytes, parseBytes(min), parseBytes(max)).meta({ unit: 'bytes' });
export const duration = (min: string, max: string) =>
  measured(parseDuration, formatDuration, parseDuration(min), parseDuration(max)).meta({ unit: 'milliseconds' });
export const rate = () =>
  z.union(
    [
      z.literal('unlimited'),
      measured(parseRate, formatRate, parseRate('64KiB/s'), parseRate('1TiB/s')).meta({ unit: 'bytes per second' }),
    ],
    { error: "must be 'unlimited' or a rate from 64KiB/s to 1TiB/s, such as 500MiB/s or 10Gbit/s" },
  );
export const count = (min: number, max: number) => measured(parseCount, String, min, max);
export const percent = () => measured(parsePercent, (n) => `${n}%`, 0, 100).meta({ unit: 'percent' });
/** In whatever currency the list is. */
export const price = () => measured(parsePrice, String, 0, 1e9);
export const absolutePath = () => z.string().startsWith('/', 'must be an absolute path');
export const program = () => z.string().min(1);

/** A limit that may be left open. */
export const countOrUnlimited = (min: number, max: number) =>
  z.union([z.literal('unlimited'), count(min, max)], {
    error: `must be 'unlimited' or a number from ${min} to ${max}`,
  });
export const sizeOrUnlimited = (min: string, max: string) =>
  z.union([z.literal('unlimited'), size(min, max)], { error: `must be 'unlimited' or a size from ${min} to ${max}` });
export const durationOrUnlimited = (min: string, max: string) =>
  z.union([z.literal('unlimited'), duration(min, max)], {
    error: `must be 'unlimited' or a duration from ${min} to ${max}`,
  });
