import { expect, test } from 'vitest';
import { claimContainer, controlName, readControl } from '../../../src/blob/control.ts';
import { ContainerLease, LeaseLostError } from '../../../src/blob/lease.ts';
import { FS, useAzurite } from './setup.ts';

const world = useAzurite();
const holder = (host: string) => ({ host, pid: 42, since: '2026-01-01T00:00:00.000Z' });
const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }));
const control = () => world.client.getBlobClient(controlName(''));

test('one has it; the second is told who, and gets it when it is given back', async () => {
  const store = await world.open();
  await claimContainer(store, FS);
  const first = await ContainerLease.take(store, { holder: holder('node-1') });
  await expect(ContainerLease.take(store, { holder: holder('node-2') })).rejects.toMatchObject({
    code: 'FOLLOWER_RUNNING',
    message: expect.stringContaining('process 42 on node-1, since 2026-01-01'),
  });
  expect((await readControl(store))?.fs).toBe(FS);
  await first.release();
  expect(first.lost.aborted).toBe(false);
  const second = await ContainerLease.take(store, { holder: holder('node-2') });
  await second.release();
});

test('a holder whose lease is broken stops at its next renewal', async () => {
  const store = await world.open();
  await claimContainer(store, FS);
  const lease = await ContainerLease.take(store, { holder: holder('node-1'), seconds: 15 });
  const stopped = aborted(lease.lost);
  await control().getBlobLeaseClient().breakLease(0);
  expect(await stopped).toBeInstanceOf(LeaseLostError);
  const next = await ContainerLease.take(store, { holder: holder('node-2') });
  await next.release();
  await lease.release();
});

test('a holder that can’t renew stops before the lease ends; then the next may have it', async () => {
  const store = await world.open();
  await claimContainer(store, FS);
  const troubles: unknown[] = [];
  const began = performance.now();
  const lease = await ContainerLease.take(store, {
    ...{ holder: holder('node-1'), seconds: 15, onTrouble: (error) => troubles.push(error) },
  });
  const stopped = aborted(lease.lost);
  world.gateway.interfere = () => 'cut';
  expect(await stopped).toBeInstanceOf(LeaseLostError);
  expect((await control().getProperties()).leaseState).toBe('leased');
  expect(performance.now() - began).toBeLessThan(15_000);
  expect(troubles.length).toBeGreaterThan(0);
  world.gateway.interfere = () => undefined;
  for (;;) {
    const next = await ContainerLease.take(store, { holder: holder('node-2') }).catch(() => undefined);
    await next?.release();
    if (next !== undefined) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});

test('without a control blob there is nothing to follow', async () => {
  const store = await world.open();
  await expect(ContainerLease.take(store, { holder: holder('node-1') })).rejects.toMatchObject({
    code: 'CONTROL_MISSING',
  });
});
