import type { Link } from '../catalog/types.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import type { EntryState } from '../lustre/scan-entry.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { type Fresh, freshOf, type Seen } from './fresh.ts';
import type { FileSource, LookParts } from './refresh.ts';

/** Requests at the same time, and how many files are worth one. */
const PARTS = 8;
const MIN_PART = 20;

/** Looks at files in Lustre, in bulk, by the helper. */
export class LustreSource implements FileSource {
  readonly #files: LustreFiles;
  readonly #fileSystem: Pick<LustreFileSystem, 'readUuid' | 'mustBeMounted'>;
  readonly #uuid: string;

  /** @param uuid that of the file system which the catalog is of */
  constructor(fileSystem: Pick<LustreFileSystem, 'files' | 'readUuid' | 'mustBeMounted'>, uuid: string) {
    this.#files = fileSystem.files;
    this.#fileSystem = fileSystem;
    this.#uuid = uuid;
  }

  /** An unmounted or another file system says ENOENT to everything, so the UUID is read before and after. */
  async look(fids: readonly Fid[], parts: LookParts = {}): Promise<Map<Fid, Seen>> {
    await this.checkFileSystem();
    const found = await this.#entries(fids, parts);
    const seen = new Map<Fid, Seen>();
    const manyNames: Fresh[] = [];
    fids.forEach((fid, index) => {
      const one = seenOf(fid, found[index] as EntryState | ErrnoError);
      seen.set(fid, one);
      if (one.kind === 'alive' && one.fresh.links === undefined) manyNames.push(one.fresh);
    });
    await this.#addLinks(manyNames, seen);
    await this.checkFileSystem();
    return seen;
  }

  /** Each file costs the MDT a few requests: several run at once, in the helper's threads. */
  async #entries(fids: readonly Fid[], want: LookParts): Promise<(EntryState | ErrnoError)[]> {
    const length = Math.max(MIN_PART, Math.ceil(fids.length / PARTS));
    const parts: Promise<(EntryState | ErrnoError)[]>[] = [];
    for (let at = 0; at < fids.length; at += length) parts.push(this.#files.entries(fids.slice(at, at + length), want));
    return (await Promise.all(parts)).flat();
  }

  /** Lustre tells nothing of a stripe but its path, which is its directory's: to be the same before and after that is looked at. */
  async stripes(fids: readonly Fid[]): Promise<Map<Fid, Fid>> {
    const paths = await this.#firstPaths(fids);
    const directories = await this.#directoriesAt(paths.filter((path) => path !== undefined));
    const found = fids.flatMap((fid, index) => {
      const path = paths[index];
      const directory = path === undefined ? undefined : directories.get(path.toString('latin1'));
      return path === undefined || directory === undefined || directory === fid ? [] : [{ fid, path, directory }];
    });
    const again = await this.#firstPaths(found.map(({ fid }) => fid));
    const stayed = found.filter(({ path }, index) => again[index]?.equals(path));
    return new Map(stayed.map(({ fid, directory }) => [fid, directory]));
  }

  async #firstPaths(fids: readonly Fid[]): Promise<(Buffer | undefined)[]> {
    if (fids.length === 0) return [];
    const found = await this.#files.getMany(
      fids.map((fid) => ({ fid })),
      { parts: ['paths'] },
    );
    return found.map((one) => (one instanceof ErrnoError ? undefined : one.paths?.[0]));
  }

  /** Names of files whose attribute does not hold all of them: by their paths. */
  async #addLinks(files: readonly Fresh[], seen: Map<Fid, Seen>): Promise<void> {
    if (files.length === 0) return;
    const found = await this.#files.getMany(
      files.map(({ entry }) => ({ fid: entry.fid })),
      { parts: ['paths'] },
    );
    const paths = found.map((one) => (one instanceof ErrnoError ? [] : (one.paths ?? [])));
    const directories = await this.#directoriesAt(paths.flat().map(directoryOf));
    files.forEach((fresh, index) => {
      const links = (paths[index] ?? []).flatMap((path): Link[] => {
        const parent = directories.get(directoryOf(path).toString('latin1'));
        return parent === undefined ? [] : [{ parent, name: path.subarray(path.lastIndexOf(0x2f) + 1) }];
      });
      // A directory has one name, whatever its number of links says.
      const expected = fresh.entry.type === 'dir' ? 1 : fresh.entry.nlink;
      if (links.length === expected)
        seen.set(fresh.entry.fid, { ...seen.get(fresh.entry.fid), kind: 'alive', fresh: { ...fresh, links } });
    });
  }

  /** FIDs of directories by their paths (as latin1 text). */
  async #directoriesAt(paths: readonly Buffer[]): Promise<Map<string, Fid>> {
    const fids = new Map<string, Fid>([['', ROOT_FID]]);
    const distinct = [...new Map(paths.map((path) => [path.toString('latin1'), path])).entries()].filter(
      ([text]) => text !== '',
    );
    const found = await this.#files.getMany(
      distinct.map(([, path]) => ({ path })),
      { parts: ['stat'] },
    );
    distinct.forEach(([text], index) => {
      const one = found[index];
      if (one !== undefined && !(one instanceof ErrnoError)) fids.set(text, one.fid);
    });
    return fids;
  }

  /** @throws OperatorError FILE_SYSTEM_CHANGED when what is mounted is not the catalog’s file system */
  async checkFileSystem(): Promise<void> {
    await this.#fileSystem.mustBeMounted();
    const uuid = await this.#fileSystem.readUuid();
    if (uuid === this.#uuid) return;
    throw new OperatorError(
      uuid === undefined
        ? `The file system that is mounted has no UUID of ours; the catalog is of ${this.#uuid}.`
        : `The file system that is mounted is ${uuid}; the catalog is of ${this.#uuid}.`,
      {
        code: 'FILE_SYSTEM_CHANGED',
        hint: 'Another file system was mounted in its place. Mount the right one; nothing was taken for deleted.',
      },
    );
  }
}

const directoryOf = (path: Buffer): Buffer => path.subarray(0, Math.max(0, path.lastIndexOf(0x2f)));

function seenOf(fid: Fid, found: EntryState | ErrnoError): Seen {
  if (found instanceof ErrnoError) {
    return found.errno === ERRNO.ENOENT ? { kind: 'dead' } : { kind: 'failed', error: found.message };
  }
  const fresh = freshOf(found);
  return fresh === undefined
    ? { kind: 'failed', error: `the HSM state of ${fid} can’t be read` }
    : { kind: 'alive', fresh, action: found.action };
}
