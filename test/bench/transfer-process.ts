import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BenchFile } from './workload.ts';

/**
 * The copytool's data path as a process of its own: what happens between the coordinator's request and its end, without
 * Lustre. Uploads every file of a list under the commit's condition and with its metadata, or looks at every blob,
 * downloads it and holds length and checksum against what they should be. Ends with the first error.
 *
 * Arguments: a JSON object of {@link Plan}.
 */
export interface Plan {
  /** The compiled sources. */
  readonly dist: string;
  readonly direction: 'archive' | 'restore';
  readonly endpoint: string;
  readonly container: string;
  /** Files at work at the same time. */
  readonly concurrency: number;
  readonly threads: number | 'auto';
  readonly list: string;
  readonly directory: string;
}

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
type Sources = typeof import('../../src/transfer/open.ts');
const { openTransfers, threadsFor } = (await import(join(plan.dist, 'src/transfer/open.js'))) as Sources;

const files = readFileSync(plan.list, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as BenchFile);
const transfers = await openTransfers({
  threads: threadsFor(plan.threads),
  settings: {
    archives: new Map([
      [
        1,
        {
          endpoint: plan.endpoint,
          container: plan.container,
          prefix: '',
          credential: { type: 'sas', env: 'BENCH_SAS' },
          accessTier: undefined,
          rehydrate: 'none',
        },
      ],
    ]),
    blockSize: 'auto',
    rangeSize: 4 << 20,
    concurrency: 8,
    memory: { budget: 128 << 20, archive: 96 << 20 },
  },
});

const made = new Set<string>();
const done = plan.direction === 'archive' ? archive : restore;
let next = 0;
await Promise.all(
  Array.from({ length: plan.concurrency }, async () => {
    while (next < files.length) await done(files[next++] as BenchFile);
  }),
);
await transfers.close();

async function archive(file: BenchFile): Promise<void> {
  const { crc64 } = await transfers.upload({
    archive: 1,
    name: file.name,
    path: join(plan.directory, file.name),
    size: BigInt(file.size),
    generation: { seq: 1, uuid: crypto.randomUUID() },
    beforeCommit: async () => ({
      condition: { ifNoneMatch: '*' },
      metadata: {
        owner: '1000',
        group: '1000',
        permissions: '0644',
        modtime: '2023-01-01 00:00:00 +0000',
        lfsazsync_fs: '00000000-0000-0000-0000-000000000000',
        lfsazsync_fid: '0x200000401:0x1:0x0',
        lfsazsync_kind: 'file',
        lfsazsync_mode: '0644',
        lfsazsync_mtime: '1672531200.000000000',
      },
    }),
  });
  expect(file, crc64);
}

async function restore(file: BenchFile): Promise<void> {
  const path = join(plan.directory, file.name);
  make(path);
  const { crc64 } = await transfers.download({
    archive: 1,
    name: file.name,
    path,
    again: false,
    etag: '"0x8DC0000000000000"',
    length: BigInt(file.size),
  });
  expect(file, crc64);
}

/** What the helper does in a restore: an empty file. */
function make(path: string): void {
  const directory = dirname(path);
  if (!made.has(directory)) mkdirSync(directory, { recursive: true });
  made.add(directory);
  closeSync(openSync(path, 'wx'));
}

function expect(file: BenchFile, crc64: bigint): void {
  const hex = crc64.toString(16).padStart(16, '0');
  if (hex !== file.crc64) throw new Error(`${file.name}: checksum ${hex}, not ${file.crc64}`);
}
