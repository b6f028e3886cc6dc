import { afterEach, beforeEach, expect, it } from 'vitest';
import { content, useBench } from './lessons.ts';

// Reads come back short: above 1 GiB always, at other times as the client likes. Here every one gives half of what it could.

const bench = useBench();
const SHORT = 'short:read';

beforeEach(async (context) => {
  if (!bench.it.sandbox.standIn) context.skip();
  await bench.it.sandbox.simctl(['fault', `set=${SHORT}`]);
});
afterEach(async () => {
  if (bench.it.sandbox.standIn) await bench.it.sandbox.simctl(['fault', `clear=${SHORT}`]);
});

// As a whole from its open to its close; in one block; in several.
it.each([300_001, 2_000_001, 20_000_001])('lesson 11: %i bytes are archived in full by short reads', async (size) => {
  const it = bench.it;
  const data = content(size);
  const path = await it.write(`short-${size}`, data);
  await it.command('archive', '--wait', path);
  expect((await it.blob(it.sandbox.blobName(path)))?.equals(data)).toBe(true);
  await it.sandbox.simctl(['fault', `clear=${SHORT}`]);
  await it.roundTrip(path, data);
});
