import { chmod, chown, utimes } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { useBench } from './lessons.ts';

// What the blobs say about their files, in the form that other readers accept.

const bench = useBench();

it.each([
  [0o644, '0644'],
  [0o000, '0000'],
  [0o1777, '1777'],
  [0o4755, undefined],
])('lesson 26: permissions of mode %s have four digits', async (mode, permissions) => {
  const it = bench.it;
  const path = await it.write(`mode-${mode.toString(8)}`);
  await chmod(path, mode);
  await it.command('archive', '--wait', path);
  const metadata = await it.metadata(it.sandbox.blobName(path));
  expect(metadata['permissions']).toMatch(/^[0-1][0-7]{3}$/);
  if (permissions !== undefined) expect(metadata['permissions']).toBe(permissions);
  expect(Number.parseInt(metadata['lfsazsync_mode'] ?? '', 8)).toBe(mode);
});

it('lesson 26: owner and time are there, in UTC, as the reference says', async () => {
  const it = bench.it;
  const path = await it.write('owned');
  await chown(path, 12_345, 54_321);
  await utimes(path, 1_500_000_000, 1_500_000_000);
  await it.command('archive', '--wait', path);
  expect(await it.metadata(it.sandbox.blobName(path))).toMatchObject({
    owner: '12345',
    group: '54321',
    modtime: '2017-07-14 02:40:00 +0000',
    lfsazsync_kind: 'file',
    lfsazsync_size: String('content of owned'.length),
  });
});

it('lesson 28: all metadata is ASCII, in lower-case keys, of files in directories of any name', async () => {
  const it = bench.it;
  const path = await it.write('Größe/日本/ファイル');
  await it.command('archive', '--wait', path);
  const seen: string[] = [];
  for await (const blob of it.sandbox.containerClient.listBlobsFlat({ includeMetadata: true })) {
    for (const [key, value] of Object.entries(blob.metadata ?? {})) {
      expect(key).toMatch(/^[a-z0-9_]+$/);
      expect(value).toMatch(/^[\x20-\x7e]*$/);
    }
    seen.push(blob.name);
  }
  expect(seen).toContain(it.sandbox.blobName(path));
});
