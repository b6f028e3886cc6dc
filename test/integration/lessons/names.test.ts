import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CLEAN, content, useBench } from './lessons.ts';

// Names that JSON, shells, headers and the service itself are known to break on.

const bench = useBench();

const NAMES: readonly (string | Buffer)[] = [
  `quote " and ' and \``,
  'back\\slash',
  'new\nline',
  '$(touch hacked) `id` ; rm',
  'trailing dot.',
  'dots...',
  '%41 %2F %',
  'été 日本語 🌊',
  ' spaces ',
  'L'.repeat(255),
  'control\x01\x7f',
  Buffer.from([0xff, 0xfe, 0x2e]),
];

it('lessons 7, 27, 28: every name goes there and back, and no two share a blob', async () => {
  const it = bench.it;
  const directory = it.path('names');
  await mkdir(directory);
  const files: [Buffer, Buffer][] = NAMES.map((name) => [
    Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]),
    content(1_000),
  ]);
  for (const [path, data] of files) await writeFile(path, data);
  await it.command('archive', '--recursive', '--wait', directory);
  const blobs = await it.fileBlobs();
  expect(blobs).toHaveLength(files.length);
  for (const name of blobs) {
    // What the service would refuse or change, though Azurite does not.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(name).not.toMatch(/[\x00-\x1f\x7f\\]|\.(\/|$)/);
    for (const value of Object.values(await it.metadata(name))) expect(value).toMatch(/^[\x20-\x7e]*$/);
  }
  await it.command('release', '--recursive', directory);
  for (const [path, data] of files)
    expect((await readFile(path)).equals(data), JSON.stringify(path.toString())).toBe(true);
});

it('lesson 27: a path that is too long for a blob is refused with its reason; the others are done', async () => {
  const it = bench.it;
  const deep = join(it.path('deep'), ...Array.from({ length: 5 }, () => 'd'.repeat(250)));
  await mkdir(deep, { recursive: true });
  const long = join(deep, 'file');
  await writeFile(long, 'too far down');
  const short = await it.write('deep/short');
  const result = await it.sandbox.run(['archive', '--recursive', '--wait', '--json', it.path('deep')]);
  expect(result.exitCode).not.toBe(0);
  expect(await it.state(short)).toBe(CLEAN);
  expect((await it.state(long)) & 0x8).toBe(0);
  // The reason is told, either by the command or in the copytool's log.
  expect(`${result.stdout}${it.copytool.log.text()}`).toMatch(/1,?024|too long|name/i);
  expect(await readFile(long, 'utf8')).toBe('too far down');
});
