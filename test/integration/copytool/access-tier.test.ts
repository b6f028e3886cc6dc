import { afterAll, beforeAll, expect, test } from 'vitest';
import { Rig } from './fixture.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start({
    config: {
      archives: { 1: { access_tier: 'Hot' } },
      classes: {
        logs: { definition: 'name == "*.log"', access_tier: 'Cool' },
        tagged: { definition: 'xattr.user.tier == cold and (project == 0 or nlink == 1)', access_tier: 'Cold' },
        large: { definition: 'size > 1MB', access_tier: 'Cool' },
      },
    },
  });
});
afterAll(() => rig.stop());

test('a copy is written in the tier of the first class of its file that has one, else in that of the archive', async () => {
  const written: [string, Buffer | string, string][] = [
    ['a.log', 'text', 'Cool'],
    ['plain', 'text', 'Hot'],
    ['tagged', 'text', 'Cold'],
    ['both.log', 'text', 'Cool'],
    ['large', Buffer.alloc(3 << 20, 7), 'Cool'],
  ];
  for (const [name, content, tier] of written) {
    const path = rig.write(name, content);
    if (name === 'tagged' || name === 'both.log')
      expect(
        await rig.sandbox.exec('python3', [
          '-c',
          'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())',
          path,
          'user.tier',
          'cold',
        ]),
      ).toMatchObject({
        exitCode: 0,
      });
    await rig.archive(path);
    const properties = await rig.blob(path).getProperties();
    expect([name, properties.accessTier]).toEqual([name, tier]);
  }
});
