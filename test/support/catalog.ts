import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../../src/catalog/types.ts';
import { type Fid, parseFid } from '../../src/identity/fid.ts';

/** For tests: a directory for catalogs, and what removes it. */
export function scratch(parent = tmpdir()): { directory: string; file: string; remove(): void } {
  const directory = mkdtempSync(join(parent, 'lfsazsync-catalog-'));
  return {
    directory,
    file: join(directory, 'catalog.db'),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export const fid = (object: number, seq = 0x200000401): Fid =>
  parseFid(`0x${seq.toString(16)}:0x${object.toString(16)}:0x0`) as Fid;

/** A plain file of that FID, or what `changes` say. */
export function entry(of: Fid, changes: Partial<Entry> = {}): Entry {
  return {
    fid: of,
    type: 'file',
    mode: 0o644,
    uid: 1000,
    gid: 1000,
    project: 0,
    size: 6n,
    blocks: 8n,
    nlink: 1,
    atime: 1_700_000_000,
    mtime: 1_700_000_000,
    ctime: 1_700_000_000,
    hsm: 0,
    archive: 0,
    osts: [0],
    pool: '',
    ...changes,
  };
}

export async function collect<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pages) items.push(...page);
  return items;
}
