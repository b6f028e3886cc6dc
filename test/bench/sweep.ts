import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runSweep } from '../../src/audit/sweep.ts';
import type { ListDepth, ListOptions, ListPage } from '../../src/blob/list-types.ts';
import { metadataOf } from '../../src/blob/metadata.ts';
import { type BlobState, blobState } from '../../src/blob/state.ts';
import type { BlobStore } from '../../src/blob/store.ts';
import { openCatalog } from '../../src/catalog/open.ts';
import type { EntryPut } from '../../src/catalog/types.ts';
import type { BlobIdentity } from '../../src/identity/blob-identity.ts';
import { type Fid, ROOT_FID } from '../../src/identity/fid.ts';

/**
 * What a sweep costs besides the listing: `node test/bench/sweep.ts [--blobs 1000000] [--json FILE]`. A catalog is filled as by a
 * scan (200 archived files in a directory), and a container that is in step with it is listed from memory: what is
 * measured is from a page that was read to what the catalog notes of it, on the disk. The first sweep meets blobs that the
 * catalog does not know, the second what it knows.
 */
const { values: options } = parseArgs({
  options: { blobs: { type: 'string', default: '1000000' }, json: { type: 'string' } },
});
const PER_DIRECTORY = 200;
const DIRECTORIES = Math.ceil(Number(options.blobs) / (PER_DIRECTORY + 1));
const FS = '11111111-1111-4111-8111-111111111111';
const GENERATION = { seq: 1, uuid: '22222222-2222-4222-8222-222222222222' };
const MTIME = 1_700_000_000;

const directory = mkdtempSync(join(tmpdir(), 'lfsazsync-bench-'));
const catalog = openCatalog({ file: join(directory, 'catalog.db'), create: true });

const fidOf = (number: number) =>
  `0x${(0x200000401 + Math.floor(number / 0x1ffff)).toString(16)}:0x${((number % 0x1ffff) + 1).toString(16)}:0x0` as Fid;
const directoryOf = (number: number) => fidOf(number * (PER_DIRECTORY + 1));
const fileOf = (number: number, file: number) => fidOf(number * (PER_DIRECTORY + 1) + file + 1);

function putOf(fid: Fid, parent: Fid, name: string, type: 'dir' | 'file'): EntryPut {
  const entry = {
    ...{ fid, type, mode: type === 'dir' ? 0o755 : 0o644, uid: 1000, gid: 1000, project: 0, size: 4096n, blocks: 8n },
    ...{ nlink: type === 'dir' ? 2 : 1, atime: MTIME, mtime: MTIME, ctime: MTIME, osts: [0], pool: '' },
    ...(type === 'dir' ? { hsm: 0, archive: 0 } : { hsm: 9, archive: 1 }),
  };
  return { entry, links: [{ parent, name: Buffer.from(name) }] };
}

async function fill(): Promise<void> {
  await catalog.claim(FS);
  await catalog.apply({ puts: [{ ...putOf(ROOT_FID, ROOT_FID, '', 'dir'), links: [] }] });
  for (let at = 0; at < DIRECTORIES; at += 10) {
    const puts: EntryPut[] = [];
    for (let number = at; number < Math.min(DIRECTORIES, at + 10); number += 1) {
      puts.push(putOf(directoryOf(number), ROOT_FID, `d${number}`, 'dir'));
      for (let file = 0; file < PER_DIRECTORY; file += 1) {
        puts.push(putOf(fileOf(number, file), directoryOf(number), `file-${file}`, 'file'));
      }
    }
    await catalog.apply({ puts });
  }
}

function blobOf(fid: Fid, name: string, kind: 'dir' | 'file'): BlobState {
  const file = kind === 'file' ? { generation: GENERATION, size: 4096n, crc64: '0123456789abcdef' } : {};
  const identity: BlobIdentity = { fs: FS, fid, kind, ...file };
  const attributes = {
    mode: kind === 'dir' ? 0o755 : 0o644,
    uid: 1000,
    gid: 1000,
    mtime: BigInt(MTIME) * 1_000_000_000n,
  };
  return blobState({
    ...{ name, etag: '"0x8DC"', length: kind === 'file' ? 4096n : 0n, metadata: metadataOf({ identity, attributes }) },
    ...{ lastModified: new Date(MTIME * 1000), blobType: 'BlockBlob', copyStatus: undefined, accessTier: 'Hot' },
    ...{ archiveStatus: undefined, leaseState: undefined, customerKey: undefined },
  });
}

/** A container of markers, and directories with files, in pages as asked for. */
function listPage(depth: ListDepth, { startsWith = '', pageSize = 5000, from }: ListOptions): Promise<ListPage> {
  const number = Number(/^d(\d+)\/$/.exec(startsWith)?.[1] ?? -1);
  if (number >= 0) {
    const files = Array.from({ length: PER_DIRECTORY }, (_, file) => file);
    return Promise.resolve({
      blobs: files.map((file) => blobOf(fileOf(number, file), `d${number}/file-${file}`, 'file')),
      directories: [],
    });
  }
  if (depth === 'flat') throw new Error('the top is listed level by level');
  const begin = Number(from ?? 0);
  const end = Math.min(DIRECTORIES, begin + pageSize / 2);
  const numbers = Array.from({ length: end - begin }, (_, index) => begin + index);
  return Promise.resolve({
    blobs: numbers.map((one) => blobOf(directoryOf(one), `d${one}`, 'dir')),
    directories: numbers.map((one) => `d${one}/`),
    ...(end < DIRECTORIES ? { next: String(end) } : {}),
  });
}

const store = { endpoint: 'memory', container: 'bench', prefix: '', listPage } as unknown as BlobStore;
const figures: { what: string; blobs: number; cpu: number; perSecond: number; memory: number; findings: object }[] = [];

async function sweep(what: string): Promise<void> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  let memory = 0;
  const summary = await runSweep({
    ...{ catalog, fsUuid: FS, archives: new Map([[1, store]]), parallel: 8, signal: new AbortController().signal },
    onProgress: () => {
      memory = Math.max(memory, process.memoryUsage.rss());
    },
  });
  const { user, system } = process.cpuUsage(cpu);
  const { count } = summary.listed;
  const seconds = (performance.now() - start) / 1000;
  figures.push({
    ...{ what, blobs: count, cpu: (user + system) / count, perSecond: count / seconds, memory: memory / 2 ** 20 },
    findings: summary.findings,
  });
}

try {
  await fill();
  await sweep('blobs that are not known yet');
  await sweep('blobs that are known');
  for (const { what, blobs, cpu, perSecond, memory, findings } of figures) {
    console.log(
      `${what}: ${blobs} blobs, ${cpu.toFixed(1)} µs CPU each, ${Math.round(perSecond)}/s, at most ${memory.toFixed(0)} MiB, findings ${JSON.stringify(findings)}`,
    );
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`);
} finally {
  catalog.close();
  rmSync(directory, { recursive: true, force: true });
}
