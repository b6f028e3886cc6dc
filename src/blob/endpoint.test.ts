import { afterEach, describe, expect, test, vi } from 'vitest';
import { Endpoint } from './endpoint.ts';
import { BlobError } from './errors.ts';

const failure = (retryAfter?: number) =>
  new BlobError('out of reach', {
    code: 'NETWORK',
    retriable: true,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });

afterEach(() => {
  vi.useRealTimers();
});

describe('the endpoint', () => {
  test.each([
    ['an hour', 3_600_000],
    ['two months', 5_000_000_000],
  ])('a clock that is set back by %s does not change when it is tried again', (_, back) => {
    vi.useFakeTimers();
    let probes = 0;
    const endpoint = new Endpoint(
      { firstDelay: 100, maxDelay: 1000 },
      async () => void probes++,
      () => {},
    );
    for (let index = 0; index < 3; index++) endpoint.failed(failure(1000), 'read');
    const now = Date.now();
    vi.setSystemTime(now - back);
    vi.advanceTimersByTime(10_000);
    expect(probes).toBeGreaterThanOrEqual(5);
    expect(probes).toBeLessThanOrEqual(100);
    endpoint.stop();
  });

  test('once stopped, it is not tried again, whatever fails afterwards', () => {
    vi.useFakeTimers();
    let probes = 0;
    const endpoint = new Endpoint(
      { firstDelay: 20, maxDelay: 50 },
      async () => void probes++,
      () => {},
    );
    endpoint.stop();
    for (let index = 0; index < 3; index++) endpoint.failed(failure(), 'read');
    endpoint.nudge();
    vi.advanceTimersByTime(10_000);
    expect(probes).toBe(0);
  });
});
