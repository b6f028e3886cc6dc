import { expect, test } from 'vitest';
import { node, room, user } from './machine.ts';

test('an older Node.js than the programs are made for is a failure', () => {
  for (const version of ['18.20.4', '20.19.0', '22.18.9'])
    expect(node(version), version).toMatchObject({
      status: 'failed',
      evidence: `Node.js ${version}`,
      fix: expect.stringContaining('22.19'),
    });
  for (const version of ['22.19.0', '24.0.0', process.versions.node])
    expect(node(version), version).toMatchObject({ status: 'ok' });
});

test('anybody but root is a failure', () => {
  expect(user(1000)).toMatchObject({ status: 'failed', evidence: 'user 1000', fix: expect.stringContaining('root') });
  expect(user(0)).toMatchObject({ status: 'ok' });
});

test('little room for the catalog is a warning: less than a GiB, or a twentieth of the disk', () => {
  const disk = (blocks: number, bavail: number) => room('/var/lib/lfsazsync', { bsize: 4096, blocks, bavail });
  const gib = 2 ** 18;
  expect(disk(10 * gib, gib)).toEqual({ status: 'ok', evidence: '/var/lib/lfsazsync, 1GiB free' });
  expect(disk(10 * gib, gib - 1)).toMatchObject({ status: 'warning', fix: expect.stringContaining('/var/lib:') });
  expect(disk(100 * gib, 4 * gib)).toMatchObject({ status: 'warning' });
});
