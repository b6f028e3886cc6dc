import type { ListDepth, ListOptions, ListPage } from '../../src/blob/list-types.ts';
import { metadataOf } from '../../src/blob/metadata.ts';
import { type BlobState, blobState } from '../../src/blob/state.ts';
import type { BlobStore } from '../../src/blob/store.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import type { EntryPut } from '../../src/catalog/types.ts';
import type { BlobIdentity } from '../../src/identity/blob-identity.ts';
import { type Fid, ROOT_FID } from '../../src/identity/fid.ts';
import type { CopyRecord } from '../../src/identity/file-record.ts';

/** Files in each directory. */
export const PER_DIRECTORY = 200;
export const FS = '11111111-1111-4111-8111-111111111111';
const GENERATION = { seq: 1, uuid: '22222222-2222-4222-8222-222222222222' };
const CRC64 = '0123456789abcdef';
export const MTIME = 1_700_000_000;
const SIZE = 4096n;
/** Every client has sequences of this many objects. */
const SEQUENCE = 0x1ffff;
const FIRST = 0x200000401;

const fidOf = (number: number) =>
  `0x${(FIRST + Math.floor(number / SEQUENCE)).toString(16)}:0x${((number % SEQUENCE) + 1).toString(16)}:0x0` as Fid;

/**
 * A tree that nobody has to keep: directories of 200 archived files, and the container that is in step with it. All that is
 * asked of it is made up at that moment, so that what is measured is who asks.
 */
export class MadeUp {
  readonly directories: number;

  constructor(entries: number) {
    this.directories = Math.ceil(entries / (PER_DIRECTORY + 1));
  }

  get entries(): number {
    return this.directories * (PER_DIRECTORY + 1);
  }

  directory(number: number): Fid {
    return fidOf(number * (PER_DIRECTORY + 1));
  }

  file(number: number, file: number): Fid {
    return fidOf(number * (PER_DIRECTORY + 1) + file + 1);
  }

  /** What has this FID; undefined: the root. */
  at(fid: Fid): { readonly type: 'dir' | 'file'; readonly path: string } | undefined {
    if (fid === ROOT_FID) return undefined;
    const [sequence = '', object = ''] = fid.split(':');
    const number = (Number(sequence) - FIRST) * SEQUENCE + Number(object) - 1;
    const directory = Math.floor(number / (PER_DIRECTORY + 1));
    const file = (number % (PER_DIRECTORY + 1)) - 1;
    return file < 0 ? { type: 'dir', path: `d${directory}` } : { type: 'file', path: `d${directory}/file-${file}` };
  }

  entry(fid: Fid, type: 'dir' | 'file'): EntryPut['entry'] {
    return {
      ...{ fid, type, mode: type === 'dir' ? 0o755 : 0o644, uid: 1000, gid: 1000, project: 0, size: SIZE, blocks: 8n },
      ...{ nlink: type === 'dir' ? 2 : 1, atime: MTIME, mtime: MTIME, ctime: MTIME, osts: [0], pool: '' },
      ...(type === 'dir' ? { hsm: 0, archive: 0 } : { hsm: 9, archive: 1 }),
    };
  }

  /** What an archive wrote onto a file. */
  record(fid: Fid): CopyRecord {
    return { fid, generation: GENERATION, size: SIZE, crc64: CRC64 };
  }

  /** As by a scan. */
  async fill(catalog: Catalog): Promise<void> {
    await catalog.claim(FS);
    await catalog.apply({ puts: [{ entry: this.entry(ROOT_FID, 'dir'), links: [] }] });
    const put = (fid: Fid, type: 'dir' | 'file', parent: Fid, name: string): EntryPut => ({
      entry: this.entry(fid, type),
      links: [{ parent, name: Buffer.from(name) }],
    });
    for (let at = 0; at < this.directories; at += 10) {
      const puts: EntryPut[] = [];
      for (let number = at; number < Math.min(this.directories, at + 10); number += 1) {
        puts.push(put(this.directory(number), 'dir', ROOT_FID, `d${number}`));
        for (let file = 0; file < PER_DIRECTORY; file += 1)
          puts.push(put(this.file(number, file), 'file', this.directory(number), `file-${file}`));
      }
      await catalog.apply({ puts });
    }
  }

  /** Of its container: markers, and directories with files, in pages as asked for. */
  get store(): BlobStore {
    const listPage = (depth: ListDepth, options: ListOptions) => Promise.resolve(this.#page(depth, options));
    const head = () => Promise.reject(new Error('what is in step need not be looked at'));
    return { endpoint: 'memory', container: 'bench', prefix: '', listPage, head } as unknown as BlobStore;
  }

  #page(depth: ListDepth, { startsWith = '', pageSize = 5000, from }: ListOptions): ListPage {
    const number = Number(/^d(\d+)\/$/.exec(startsWith)?.[1] ?? -1);
    if (number >= 0) {
      const files = Array.from({ length: PER_DIRECTORY }, (_, file) => file);
      const blobs = files.map((file) => blobOf(this.file(number, file), `d${number}/file-${file}`, 'file'));
      return { blobs, directories: [] };
    }
    if (depth === 'flat') throw new Error('the top is listed level by level');
    const begin = Number(from ?? 0);
    const end = Math.min(this.directories, begin + pageSize / 2);
    const numbers = Array.from({ length: end - begin }, (_, index) => begin + index);
    return {
      blobs: numbers.map((one) => blobOf(this.directory(one), `d${one}`, 'dir')),
      directories: numbers.map((one) => `d${one}/`),
      ...(end < this.directories ? { next: String(end) } : {}),
    };
  }
}

function blobOf(fid: Fid, name: string, kind: 'dir' | 'file'): BlobState {
  const file = kind === 'file' ? { generation: GENERATION, size: SIZE, crc64: CRC64 } : {};
  const identity: BlobIdentity = { fs: FS, fid, kind, ...file };
  const mode = kind === 'dir' ? 0o755 : 0o644;
  const attributes = { mode, uid: 1000, gid: 1000, mtime: BigInt(MTIME) * 1_000_000_000n };
  return blobState({
    ...{ name, etag: '"0x8DC"', length: kind === 'file' ? SIZE : 0n, metadata: metadataOf({ identity, attributes }) },
    ...{ lastModified: new Date(MTIME * 1000), blobType: 'BlockBlob', copyStatus: undefined, accessTier: 'Hot' },
    ...{ archiveStatus: undefined, leaseState: undefined, customerKey: undefined },
  });
}
