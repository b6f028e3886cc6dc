import { expect, test } from 'vitest';
import { entry, fid } from '../../../test/support/catalog.ts';
import type { Known, KnownBlob } from '../../catalog/types.ts';
import type { Generation } from '../../identity/generation.ts';
import { formatGeneration } from '../../identity/generation.ts';
import type { CopyVerdict } from '../../request/types.ts';
import type { Rule } from '../policies.ts';
import type { Chosen } from './judge.ts';
import { Verification } from './verification.ts';

const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
const generation: Generation = { seq: 7, uuid: '11111111-2222-4333-8444-555555555555' };

const chosen = (object: number): Chosen => {
  const of = fid(object);
  return {
    rule: { name: 'default' } as Rule,
    archive: 1,
    file: {
      ...{ fid: of, paths: undefined, xattrs: undefined, at: NOW },
      action: { action: 'NOOP', state: 'none', done: 0n },
      fresh: {
        entry: entry(of, { size: 10n, hsm: 9, archive: 1 }),
        record: { fid: of, generation, size: 10n, crc64: '0123456789abcdef' },
      },
    },
  };
};

const blob = (changes: Partial<KnownBlob> = {}): KnownBlob => ({
  ...{ archive: 1, name: 'name', kind: 'file', size: 10n, generation: formatGeneration(generation) },
  verifiedAt: (NOW - HOUR) / 1000,
  ...changes,
});

async function verified(known: KnownBlob | undefined, within: number, verdict: CopyVerdict = { ok: true }) {
  const asked: string[] = [];
  const one = chosen(1);
  const verification = new Verification({
    catalog: {
      known: async (fids) =>
        new Map<(typeof fids)[number], Known>(
          fids.map((of) => [of, { links: [], blobs: known === undefined ? [] : [known] }]),
        ),
    },
    verifier: async () => ({
      verify: async ({ fid: of }) => {
        asked.push(of);
        return verdict;
      },
    }),
    within,
    now: () => NOW,
    onRequest: () => undefined,
    signal: new AbortController().signal,
  });
  return { verdict: (await verification.of([one])).get(one), asked: asked.length };
}

test('what a sweep saw lately stands in for a look at the container: the very version, and not longer ago than configured', async () => {
  expect(await verified(blob(), 2 * HOUR)).toEqual({ verdict: { ok: true }, asked: 0 });
  for (const [known, within] of [
    [blob(), 0],
    [blob(), HOUR - 1000],
    [blob({ verifiedAt: undefined }), 2 * HOUR],
    [blob({ generation: formatGeneration({ ...generation, seq: 6 }) }), 2 * HOUR],
    [blob({ size: 9n }), 2 * HOUR],
    [blob({ archive: 2 }), 2 * HOUR],
    [blob({ kind: 'link' }), 2 * HOUR],
    [undefined, 2 * HOUR],
  ] as const) {
    expect(await verified(known, within)).toEqual({ verdict: { ok: true }, asked: 1 });
  }
});

test('a copy that is not found is looked for twice before it counts as missing; what could not be searched, once', async () => {
  const missing = { ok: false, reason: 'nothing', searched: true } as const;
  expect(await verified(undefined, 0, missing)).toEqual({ verdict: missing, asked: 2 });
  const unsearched = { ok: false, reason: 'no answer', searched: false } as const;
  expect(await verified(undefined, 0, unsearched)).toEqual({ verdict: unsearched, asked: 1 });
});
