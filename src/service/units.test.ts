import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, formatRate, parseBytes, parseDuration, parseRate } from './units.ts';

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['4096', 4096],
    ['10G', 10 * 1024 ** 3],
    ['10GB', 10 * 1024 ** 3],
    ['16MiB', 16 * 1024 ** 2],
    ['16 mib', 16 * 1024 ** 2],
    ['1.5T', 1.5 * 1024 ** 4],
    ['0.5K', 512],
    ['7B', 7],
  ])('reads %s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(['', ' ', 'G', '-1', '1e3', '10 GG', '1.', '.5K', '0x10', '1,5G', '10Gb/s', 'NaN'])('refuses %j', (text) => {
    expect(() => parseBytes(text)).toThrow(/not a size/);
  });

  it('refuses parts of a byte and what no number can hold', () => {
    expect(() => parseBytes('0.3K')).toThrow(/whole number of bytes/);
    expect(() => parseBytes('9000P')).toThrow(/too large/);
  });

  it('reads back what it prints when the unit divides it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1023 }), fc.integer({ min: 0, max: 4 }), (digits, power) => {
        const bytes = digits * 1024 ** power;
        expect(parseBytes(formatBytes(bytes))).toBe(bytes);
      }),
    );
  });

  it('prints anything else rounded down to a tenth of its unit', () => {
    expect(formatBytes(1_500_000_000)).toBe('1.3GiB');
    expect(formatBytes(2n ** 64n - 1n)).toBe('15.9EiB');
    expect(formatBytes(-1536)).toBe('-1.5KiB');
  });
});

describe('durations', () => {
  it.each([
    ['0', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['5min', 300_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
    ['2w', 14 * 86_400_000],
    ['1y', 365 * 86_400_000],
  ])('reads %s', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it('asks for a unit', () => {
    expect(() => parseDuration(30)).toThrow(/needs a unit, such as '30s'/);
  });

  it.each(['', 'm', '-5m', '5 parsecs', '1h 30', '5m!', '1..5h'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(/not a duration/);
  });

  it('reads back what it prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
      }),
    );
  });
});

describe('rates', () => {
  it.each([
    ['500MB/s', 500 * 1024 ** 2],
    ['500 MiB / s', 500 * 1024 ** 2],
    ['1.5G', 1.5 * 1024 ** 3],
    [65536, 65536],
    ['10Gbit/s', 1_250_000_000],
    ['2.5 Gbit/s', 312_500_000],
    ['100Mbps', 12_500_000],
    ['8 bit/s', 1],
  ])('reads %s', (text, bytesPerSecond) => {
    expect(parseRate(text)).toBe(bytesPerSecond);
  });

  it.each(['', '/s', 'fast', '10Gb/s', '5mb/s', '1MiB/h', '10 Gbit', '-1M/s'])('refuses %j', (text) => {
    expect(() => parseRate(text)).toThrow(RangeError);
  });

  it('reads back what it prints', () => {
    expect(parseRate(formatRate(500 * 1024 ** 2))).toBe(500 * 1024 ** 2);
  });
});
