import { blobNameOf } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import type { Fid } from '../identity/fid.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import { printable } from '../lustre/printable.ts';
import { ErrnoError } from '../service/errors.ts';

/** One link of a file and the blob name that it stands for. */
export interface NamedPath {
  readonly path: Buffer;
  readonly name: string;
}

/** Names looked at for a file's copy, at most: a file may have tens of thousands of links. */
const MAX_LINKS_LOOKED_AT = 64;
const SLASH = 0x2f;

/** The blob names of a file's links, as far as they can be expressed, and why the others can't. */
export function nameLinks(paths: readonly Buffer[], prefix: string): { named: NamedPath[]; refused: string[] } {
  const named: NamedPath[] = [];
  const refused: string[] = [];
  for (const path of paths) {
    const result = blobNameOf(path, prefix);
    if (result.ok) named.push({ path, name: result.name });
    else refused.push(`${printable(path)}: ${result.reason}`);
  }
  return { named, refused };
}

/**
 * The one name at which a file's content belongs: the link at which its copy is, else the lowest (parent FID, name).
 * Copytools and the follower choose the same. Undefined: the file has no link that can be a blob's name.
 */
export async function chooseCanonical(
  fid: Fid,
  named: readonly NamedPath[],
  store: BlobStore,
  fs: LustreFileSystem,
  fsUuid: string,
  signal?: AbortSignal,
): Promise<NamedPath | undefined> {
  const [first, ...others] = named;
  if (others.length === 0) return first;
  const ordered = await inOrder(named, fs);
  for (const link of ordered.slice(0, MAX_LINKS_LOOKED_AT)) {
    if (isOwnContent(await store.head(link.name, { signal }), fid, fsUuid)) return link;
  }
  return ordered[0] ?? first;
}

function isOwnContent(blob: BlobState | undefined, fid: Fid, fsUuid: string): boolean {
  return blob?.identity?.fs === fsUuid && blob.identity.fid === fid && blob.identity.kind === 'file';
}

/** By the parent's FID, then by the name's bytes; links whose parent is gone meanwhile come last. */
async function inOrder(links: readonly NamedPath[], fs: LustreFileSystem): Promise<NamedPath[]> {
  const parents = [...new Set(links.map((link) => parentOf(link.path).toString('latin1')))];
  const root = Buffer.from(fs.mount);
  const targets = parents.map((parent) => ({ path: parent === '' ? root : Buffer.from(parent, 'latin1') }));
  const found = await fs.files.getMany(targets, { parts: [] });
  const fids = new Map(parents.map((parent, index) => [parent, found[index]]));
  const keyed = links.map((link) => {
    const parent = fids.get(parentOf(link.path).toString('latin1'));
    const fid = parent === undefined || parent instanceof ErrnoError ? undefined : parent.fid;
    return { link, fid, name: link.path.subarray(link.path.lastIndexOf(SLASH) + 1) };
  });
  keyed.sort(
    (a, b) => compareFids(a.fid, b.fid) || Buffer.compare(a.name, b.name) || Buffer.compare(a.link.path, b.link.path),
  );
  return keyed.map(({ link }) => link);
}

function parentOf(path: Buffer): Buffer {
  const slash = path.lastIndexOf(SLASH);
  return slash === -1 ? Buffer.alloc(0) : path.subarray(0, slash);
}

/** Numerical order by sequence, object, version; undefined comes last. */
export function compareFids(a: Fid | undefined, b: Fid | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 1 : 0) - (b === undefined ? 1 : 0);
  const as = a.split(':').map(BigInt);
  const bs = b.split(':').map(BigInt);
  for (let part = 0; part < 3; part++) {
    const left = as[part] ?? 0n;
    const right = bs[part] ?? 0n;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
