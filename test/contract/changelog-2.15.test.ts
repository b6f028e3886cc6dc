import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { ChangelogReader } from './changelog.ts';
import { CLEAN, useContract } from './fixture.ts';

// The dialect of 2.15, which Azure Managed Lustre runs: HSM 0x180 comes with a release. Facts: README 22.

const contract = useContract({ version: '2.15' });

it('a release makes HSM 0x180, a restore does not (README 22)', async ({ skip }) => {
  const it = contract.it;
  if (!it.standIn) skip('the version of a real Lustre is what it is');
  const log = await ChangelogReader.open(it);
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'old', 'data');
  const hsm = async (): Promise<string[]> =>
    (await log.read()).filter((record) => record.target === fid && record.type === 'HSM').map((record) => record.flags);
  await log.skip();
  await it.request('release', path);
  expect(await hsm()).toContain('0x180');
  await log.skip();
  const reading = readFile(path);
  await agent.restore('data', fid);
  await reading;
  await it.waitForState(path, CLEAN);
  const flags = await hsm();
  expect(flags).not.toContain('0x180');
  expect(flags).toContain('0x80');
});
