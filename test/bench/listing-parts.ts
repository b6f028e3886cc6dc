import { parseArgs } from 'node:util';
import type { BlobState } from '../../src/blob/state.ts';
import { DryLedger } from '../../src/import/ledger.ts';
import { listAll } from '../../src/import/lister.ts';

/**
 * How many times an import of one flat directory waits for answers, when all requests take equally long: page after page, and in
 * parts. It counts rounds, so it says the same on a busy machine.
 *
 *     node test/bench/listing-parts.ts [--listed 1000000] [--page 2000] [--ranges 3]
 */
const { values } = parseArgs({
  options: {
    listed: { type: 'string', default: '1000000' },
    page: { type: 'string', default: '2000' },
    ranges: { type: 'string', default: '3' },
  },
});
const listed = Number(values.listed);
const file = (index: number): string => `d/f${String(index).padStart(7, '0')}`;

function firstFrom(start: string): number {
  let [low, high] = [0, listed];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (file(middle) < start) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function rounds(knowsStartFrom: boolean): Promise<{ rounds: number; requests: number }> {
  const ledger = new DryLedger(undefined, 1);
  await ledger.commit({ imports: { ranges: [{ place: 'd/', flat: true }] } });
  let [count, requests, seen] = [0, 0, 0];
  let round: Promise<void> | undefined;
  await listAll({
    ...{ ledger, prefix: '', wanted: () => true, concurrency: Number(values.ranges) },
    signal: new AbortController().signal,
    list: async ({ start, token }, most = Number(values.page)) => {
      requests += 1;
      round ??= new Promise<void>((resolve) => setTimeout(resolve, 2)).then(() => {
        round = undefined;
        count += 1;
      });
      await round;
      const from = Number(token ?? (knowsStartFrom ? firstFrom(start ?? '') : 0));
      const length = Math.min(most, listed - from);
      const blobs = Array.from({ length }, (_, index) => ({ name: file(from + index) }) as BlobState);
      return { blobs, directories: [], ...(from + most < listed ? { next: String(from + most) } : {}) };
    },
    take: async (blobs, progress) => {
      seen += blobs.length;
      await ledger.commit({ imports: progress });
    },
  });
  if (seen !== listed) throw new Error(`${seen} of ${listed}`);
  return { rounds: count, requests };
}

const line = (what: string, found: Awaited<ReturnType<typeof rounds>>) =>
  `| ${what} | ${listed} | ${found.requests} | ${found.rounds} |\n`;
process.stdout.write('| one directory | blobs | requests | one after the other |\n|---|---|---|---|\n');
process.stdout.write(line('page after page', await rounds(false)));
process.stdout.write(line('in parts', await rounds(true)));
