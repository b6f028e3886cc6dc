import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { CLEAN, content, useBench } from './lessons.ts';

// A file that changes, shrinks, or whose archive is cancelled while it is read: never half of it in the container.

const bench = useBench();
const EXISTS = 0x1;
const DIRTY = 0x2;

it('lesson 8: a file written to during its archive is not committed; the copy before stays', async () => {
  const it = bench.it;
  const before = content(500_000);
  const path = await it.write('changing', before);
  await it.command('archive', '--wait', path);
  const after = content(500_000);
  await writeFile(path, after);
  const held = it.steps.hold('archive.uploaded');
  await it.command('archive', path);
  await held.reached();
  await appendFile(path, 'one more line');
  held.release();
  await it.idle(path);
  expect(await it.state(path)).toBe(CLEAN | DIRTY);
  expect((await it.blob(it.sandbox.blobName(path)))?.equals(before)).toBe(true);
  await it.command('archive', '--wait', path);
  expect((await it.blob(it.sandbox.blobName(path)))?.equals(Buffer.concat([after, Buffer.from('one more line')]))).toBe(
    true,
  );
});

it('lesson 8: of a file that was never archived, nothing appears', async () => {
  const it = bench.it;
  const path = await it.write('new', content(300_000));
  const held = it.steps.hold('archive.uploaded');
  await it.command('archive', path);
  await held.reached();
  await writeFile(path, 'short', { flag: 'r+' });
  held.release();
  await it.idle(path);
  expect((await it.state(path)) & CLEAN).toBe(EXISTS);
  expect(await it.blob(it.sandbox.blobName(path))).toBeUndefined();
});

// In one block; in several, of which the first is there in full.
it.each([
  [2_000_000, 1_000],
  [20_000_000, 9_000_000],
])(
  'lesson 9: a file of %i bytes that shrinks to %i before it is read ends the archive with an error, at once',
  async (size, left) => {
    const it = bench.it;
    const data = content(size);
    const path = await it.write(`shrinking-${size}`, data);
    const held = it.steps.hold('archive.named');
    await it.command('archive', path);
    await held.reached();
    await truncate(path, left);
    held.release();
    await it.idle(path);
    expect((await it.state(path)) & DIRTY).toBe(DIRTY);
    expect(await it.blob(it.sandbox.blobName(path))).toBeUndefined();
    await it.command('archive', '--wait', path);
    expect((await it.blob(it.sandbox.blobName(path)))?.equals(data.subarray(0, left))).toBe(true);
  },
);

it('lesson 10: a cancelled archive commits nothing and is not counted as done', async () => {
  const it = bench.it;
  const path = await it.write('cancelled', content(300_000));
  const held = it.steps.hold('archive.uploaded');
  await it.command('archive', path);
  await held.reached();
  await it.command('cancel', path);
  // The command has returned, so the coordinator knows of the cancel: progress says so, whether or not the copytool has
  // been told yet.
  const after = it.copytool.lines.length;
  held.release();
  // The coordinator has been done with it since the cancel: only the copytool knows when it has ended.
  const ended = await it.copytool.waitFor(
    ({ record }) => record?.['action'] === 'archive' && record['outcome'] !== undefined,
    { after },
  );
  expect(ended.record).toMatchObject({ outcome: 'cancelled' });
  await it.idle(path);
  expect((await it.state(path)) & CLEAN).toBe(EXISTS);
  expect(await it.blob(it.sandbox.blobName(path))).toBeUndefined();
  await it.roundTrip(path, await readFile(path));
});
