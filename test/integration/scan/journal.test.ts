import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { openCatalog } from '../../../src/catalog/open.ts';
import type { Stamp } from '../../../src/catalog/types.ts';
import { REASON } from '../../../src/follow/reasons.ts';
import { ROOT_FID } from '../../../src/identity/fid.ts';
import { entry, fid } from '../../support/catalog.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

const standIn = useStandIn();
const FAILED = fid(1);
const WAITING = fid(2);
const ODD = Buffer.from([0x6f, 0xff, 0x0a]);

beforeEach(async () => {
  const catalog = openCatalog({ file: join(standIn.it.sandbox.dir, 'state/catalog.db'), create: true });
  try {
    const links = (name: Buffer) => [{ parent: ROOT_FID, name }];
    const { stamp } = await catalog.apply({
      puts: [
        { entry: entry(ROOT_FID, { type: 'dir' }), links: [] },
        { entry: entry(FAILED), links: links(Buffer.from('file')) },
        { entry: entry(WAITING), links: links(ODD) },
      ],
      journal: [
        { fid: FAILED, reasons: REASON.NAMES | REASON.COPY, since: 1_700_000_000 },
        { fid: WAITING, reasons: REASON.LOOK, since: 1_700_000_001, notBefore: 4_000_000_000_000 },
      ],
    });
    await catalog.apply({ outcomes: [failed(stamp)] });
  } finally {
    catalog.close();
  }
});

const failed = (stamp: Stamp) =>
  ({ fid: FAILED, stamp, outcome: 'failed', error: 'no luck', notBefore: 0, quarantine: true }) as const;

async function journal(...args: string[]) {
  const { exitCode, stdout } = await standIn.it.sandbox.run(['journal', ...args, '--json']);
  return { exitCode, ...JSON.parse(stdout) };
}

test('it is listed, the quarantine first; tried again and dropped by FID, by path or all of it', async () => {
  const waiting = {
    fid: WAITING,
    path_b64: ODD.toString('base64'),
    state: 'waiting',
    reasons: ['look'],
    since: '2023-11-14T22:13:21.000Z',
    notBefore: '2096-10-02T07:06:40.000Z',
    tries: 0,
    error: null,
    quarantinedAt: null,
  };
  const given = {
    ...{ fid: FAILED, path: 'file', state: 'quarantined', reasons: ['names', 'copy'], tries: 1, error: 'no luck' },
    ...{ since: '2023-11-14T22:13:20.000Z', notBefore: null, quarantinedAt: expect.stringMatching(/Z$/) },
  };
  expect(await journal('list')).toEqual({ exitCode: 0, count: 2, quarantined: 1, entries: [given, waiting] });
  expect((await journal('list', '--limit', '1')).entries).toEqual([given]);
  const { stdout } = await standIn.it.sandbox.run(['journal', 'list']);
  expect(stdout).toContain('o\\xff\\n');

  expect(await journal('retry', '--quarantined')).toEqual({ exitCode: 0, named: 1, found: 1 });
  expect(await journal('list', '--quarantined')).toMatchObject({ count: 2, quarantined: 0, entries: [] });
  expect(await journal('retry', join(standIn.it.sandbox.mount, 'file'), fid(9))).toEqual({
    exitCode: 3,
    named: 2,
    found: 1,
  });
  expect(await journal('drop', `[${WAITING}]`)).toEqual({ exitCode: 0, named: 1, found: 1 });
  expect((await journal('list')).entries).toMatchObject([{ fid: FAILED, state: 'waiting', tries: 0, notBefore: null }]);
});

test('nothing is changed where nothing, or nonsense, is named', async () => {
  for (const args of [['drop'], ['drop', '/elsewhere/file'], ['drop', '--quarantined', FAILED], ['retry']]) {
    expect(await journal(...args), args.join(' ')).toMatchObject({ exitCode: 2, error: { exit: 2 } });
  }
  expect(await journal('list')).toMatchObject({ count: 2, quarantined: 1 });
});
