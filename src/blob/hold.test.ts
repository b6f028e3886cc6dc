import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Endpoint, type EndpointEvent } from './endpoint.ts';
import { type AuthReason, BlobError, type BlobErrorCode } from './errors.ts';
import { hold } from './hold.ts';

const PACE = { firstDelay: 1, maxDelay: 4 };
const failure = (
  code: BlobErrorCode,
  more: { authReason?: AuthReason; ambiguous?: boolean; retryAfter?: number } = {},
) => new BlobError(`failed: ${code}`, { code, ...more });

function world(policy: { tries?: number; hold?: number } = {}) {
  const events: EndpointEvent[] = [];
  let probes = 0;
  const probe = async () => {
    probes += 1;
  };
  const endpoint = new Endpoint(PACE, probe, (event) => events.push(event));
  return {
    endpoint,
    events,
    probes: () => probes,
    /** Work that fails as given, try by try, and then succeeds. */
    held: (failures: readonly BlobError[], signal?: AbortSignal) => {
      const left = [...failures];
      const work = async () => {
        const error = left.shift();
        if (error === undefined) {
          endpoint.answered('write');
          return 'done';
        }
        endpoint.failed(error, 'write');
        throw error;
      };
      return hold({ endpoint, policy: { tries: 3, hold: 60_000, ...PACE, ...policy }, kind: 'write', signal }, work);
    },
  };
}

test.each([
  failure('NETWORK'),
  failure('SERVER'),
  failure('THROTTLED'),
  failure('AUTH', { authReason: 'expired' }),
  failure('AUTH', { authReason: 'credential' }),
  failure('AUTH', { authReason: 'disabled' }),
])('%s: held as often as it fails', async (error) => {
  expect(await world().held(Array.from({ length: 20 }, () => error))).toBe('done');
});

test.each([
  failure('CONDITION'),
  failure('CONTAINER_NOT_FOUND'),
  failure('CHECKSUM'),
  failure('AUTH', { authReason: 'permission' }),
])('%s: not held', async (error) => {
  await expect(world().held([error])).rejects.toBe(error);
});

test('that an earlier try may have been carried out is known at the end', async () => {
  const failures = [failure('NETWORK', { ambiguous: true }), failure('NETWORK'), failure('CONDITION')];
  await expect(world().held(failures)).rejects.toMatchObject({ code: 'CONDITION', ambiguous: true });
});

test('with no time to hold, the first failure ends it', async () => {
  await expect(world({ hold: 0 }).held([failure('NETWORK')])).rejects.toMatchObject({ code: 'NETWORK' });
});

test('work within work that was held for long enough is not held for that long again', async () => {
  const { endpoint, held } = world({ hold: 30 });
  let rounds = 0;
  const outer = hold(
    { endpoint, policy: { tries: 3, hold: 60_000, ...PACE }, kind: 'write', signal: undefined },
    () => {
      rounds += 1;
      return held(Array.from({ length: 10_000 }, () => failure('NETWORK')));
    },
  );
  await expect(outer).rejects.toMatchObject({ code: 'NETWORK' });
  expect(rounds).toBe(1);
});

test('what a pause has stopped has its whole time afterwards', async () => {
  const { endpoint } = world();
  const times = { tries: 1_000, hold: 40, ...PACE };
  let tries = 0;
  let paused = true;
  const began = performance.now();
  const held = hold({ endpoint, policy: times, kind: 'read', signal: undefined }, async (turn) => {
    tries += 1;
    // Stopped for longer than it would be held, with a failure before.
    if (tries > 1 && paused) {
      while (performance.now() - began < 3 * times.hold) await delay(5);
      paused = false;
      turn.renew();
    }
    const error = failure('NETWORK');
    endpoint.failed(error, 'read');
    throw error;
  });
  await expect(held).rejects.toMatchObject({ code: 'NETWORK' });
  // The failure right after the pause did not end it.
  expect(tries).toBeGreaterThan(2);
  expect(performance.now() - began).toBeGreaterThanOrEqual(4 * times.hold);
});

test('one throttled request among many that are answered holds nobody back', () => {
  const { endpoint, events } = world();
  for (let count = 0; count < 200; count++) {
    endpoint.failed(failure('THROTTLED', { retryAfter: 0 }), 'write');
    if (count % 10 === 0) endpoint.answered('write');
  }
  expect(endpoint.down).toBe(false);
  expect(events).toEqual([]);
});

test('a blip is not told: the endpoint counts as down, and is up again with the first answer', () => {
  const { endpoint, events } = world();
  for (let count = 0; count < 100; count++) endpoint.failed(failure('NETWORK'), 'read');
  expect(endpoint.down).toBe(true);
  endpoint.answered('read');
  expect(endpoint.health).toEqual({ state: 'up', since: undefined, reason: undefined, waiting: 0 });
  expect(events).toEqual([]);
});
