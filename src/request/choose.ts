import { lstat } from 'node:fs/promises';
import type { Fid } from '../identity/fid.ts';
import type { FileAttributes, FileType, LustreFiles } from '../lustre/attributes.ts';
import { ERRNO, errnoName, errnoText } from '../lustre/errno.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import { locate } from '../lustre/location.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import type { Filters } from './filters.ts';
import { inGroups, mapAhead } from './pipeline.ts';
import type { Problem, RequestFile } from './types.ts';
import { type Found, walk } from './walk.ts';

export interface ChooseOptions {
  readonly files: Pick<LustreFiles, 'getMany'>;
  /** The mount point, canonical. */
  readonly mount: string;
  /** Paths as the operator gave them. */
  readonly paths: AsyncIterable<Buffer> | Iterable<Buffer>;
  /** Take what is in directories, too. */
  readonly recursive: boolean;
  readonly filters: Filters;
  readonly signal?: AbortSignal;
}

export type Chosen =
  | { readonly file: RequestFile }
  | { readonly problem: Problem }
  /** A filter left it out (of excluded directories, nothing is told); it was chosen before by this or another name; it is gone since; it is not a regular file. */
  | { readonly passedOver: 'filtered' | 'again' | 'gone' | 'other' };

const LOOK_AT_ONCE = 500;
const LOOKS_AHEAD = 4;

interface Candidate {
  /** Relative to the mount. */
  readonly path: Buffer;
  /** As the operator named it; undefined when it was found in a directory. */
  readonly given?: Buffer;
}

type Met = Candidate | Problem | 'filtered';

/**
 * The regular files that paths stand for, with their states, in the order of the paths. Each file comes once, however
 * many of its names are met (in one tree, or named one by one).
 */
export async function* choose(options: ChooseOptions): AsyncGenerator<Chosen[], void, undefined> {
  const seen = new Set<Fid>();
  const groups = inGroups(candidates(options), LOOK_AT_ONCE);
  for await (const group of mapAhead(groups, LOOKS_AHEAD, (group) => lookAt(group, options))) {
    yield group.map(({ met, result }) => judge(met, result, options, seen));
  }
}

type Looked = { readonly met: Met; readonly result?: FileAttributes | ErrnoError };

const isCandidate = (met: Met): met is Candidate => met !== 'filtered' && !('code' in met);

async function lookAt(group: readonly Met[], options: ChooseOptions): Promise<Looked[]> {
  const mount = Buffer.from(options.mount);
  const places = group.filter(isCandidate);
  const found = await options.files.getMany(
    places.map(({ path }) => ({ path: joinBytes(mount, path) })),
    { parts: ['stat', 'hsm', 'action'] },
  );
  const results = found.values();
  return group.map((met) =>
    isCandidate(met) ? { met, result: results.next().value as FileAttributes | ErrnoError } : { met },
  );
}

function judge(
  met: Met,
  result: FileAttributes | ErrnoError | undefined,
  options: ChooseOptions,
  seen: Set<Fid>,
): Chosen {
  if (met === 'filtered') return { passedOver: 'filtered' };
  if ('code' in met || result === undefined) return { problem: met as Problem };
  const named = met.given !== undefined;
  const path = met.given ?? joinBytes(Buffer.from(options.mount), met.path);
  if (result instanceof ErrnoError) {
    if (!named && result.errno === ERRNO.ENOENT) return { passedOver: 'gone' };
    return { problem: { path, code: errnoName(result.errno), text: `can't be looked at: ${errnoText(result.errno)}` } };
  }
  const { fid, stat, hsm, action } = result;
  if (stat === undefined) return { problem: unread(path, fid, result, 'stat') };
  if (stat.type !== 'file') return named ? { problem: notRegular(path, stat.type) } : { passedOver: 'other' };
  if (!options.filters.stat(stat)) return { passedOver: 'filtered' };
  if (hsm === undefined) return { problem: unread(path, fid, result, 'hsm') };
  if (action === undefined) return { problem: unread(path, fid, result, 'action') };
  if (seen.has(fid)) return { passedOver: 'again' };
  // A walk meets a file of one name once: only others are remembered, so that memory does not grow with the tree.
  if (stat.nlink > 1 || named) seen.add(fid);
  return { file: { fid, path, size: stat.size, hsm, action } };
}

async function* candidates(options: ChooseOptions): AsyncGenerator<Met, void, undefined> {
  const { filters, mount, signal } = options;
  /** Directories that were walked, by their path as Latin-1 (bytes). */
  const roots = new Set<string>();
  for await (const given of options.paths) {
    signal?.throwIfAborted();
    const place = await placeOf(given, mount);
    if ('code' in place) {
      yield place;
      continue;
    }
    const { path, type } = place;
    if (isBelow(path, roots)) continue;
    if (type !== 'dir') {
      if (type !== 'file') yield notRegular(given, type);
      else yield filters.name(path) ? { path, given } : 'filtered';
    } else if (options.recursive) {
      yield* walked(path, roots, options);
      roots.add(path.toString('latin1'));
    } else {
      yield { path: given, code: 'DIRECTORY', text: 'is a directory: add --recursive to take the files in it' };
    }
  }
}

async function* walked(
  root: Buffer,
  roots: ReadonlySet<string>,
  options: ChooseOptions,
): AsyncGenerator<Met, void, undefined> {
  const { filters, mount, signal } = options;
  const enter = (path: Buffer) => !roots.has(path.toString('latin1')) && filters.directory(path);
  const found: AsyncGenerator<Found> = walk({
    mount: Buffer.from(mount),
    root,
    enter,
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const entry of found) {
    if ('problem' in entry) yield { ...entry.problem, path: joinBytes(Buffer.from(mount), entry.problem.path) };
    else yield filters.name(entry.path) ? entry : 'filtered';
  }
}

type Place = { readonly path: Buffer; readonly type: FileType };

/** Where a path leads, and to what. */
async function placeOf(given: Buffer, mount: string): Promise<Place | Problem> {
  if (given.length === 0) return { path: given, code: 'PATH_EMPTY', text: 'an empty path: it names nothing' };
  try {
    const { absolute, relative } = await locate(given, mount);
    const [stat, root] = await Promise.all([lstat(absolute, { bigint: true }), lstat(mount, { bigint: true })]);
    if (stat.dev !== root.dev)
      return { path: given, code: 'OTHER_MOUNT', text: `is not in Lustre: another file system is mounted there` };
    const type: FileType = stat.isFile()
      ? 'file'
      : stat.isDirectory()
        ? 'dir'
        : stat.isSymbolicLink()
          ? 'symlink'
          : stat.isFIFO()
            ? 'fifo'
            : stat.isSocket()
              ? 'sock'
              : stat.isBlockDevice()
                ? 'blk'
                : 'chr';
    return { path: relative, type };
  } catch (error) {
    if (error instanceof OperatorError)
      return { path: given, code: error.code, text: `is not in the file system mounted at ${mount}` };
    const { code = 'UNREADABLE', errno = 0 } = error as NodeJS.ErrnoException;
    return { path: given, code, text: `can't be reached: ${errnoText(-errno)}` };
  }
}

/** Whether a directory that was walked holds the path. */
function isBelow(path: Buffer, roots: ReadonlySet<string>): boolean {
  if (roots.size === 0) return false;
  const text = path.toString('latin1');
  if (roots.has('') || roots.has(text)) return true;
  for (let at = text.lastIndexOf('/'); at > 0; at = text.lastIndexOf('/', at - 1)) {
    if (roots.has(text.slice(0, at))) return true;
  }
  return false;
}

const KINDS: Readonly<Record<Exclude<FileType, 'file'>, string>> = {
  dir: 'a directory',
  symlink: 'a symlink',
  fifo: 'a named pipe',
  sock: 'a socket',
  blk: 'a device',
  chr: 'a device',
};

function notRegular(path: Buffer, type: FileType): Problem {
  const kind = KINDS[type as Exclude<FileType, 'file'>];
  const hint = type === 'symlink' ? '; name what it points to' : '';
  return { path, code: 'NOT_REGULAR', text: `is ${kind}: only regular files have data to archive${hint}` };
}

function unread(path: Buffer, fid: Fid, attributes: FileAttributes, part: 'stat' | 'hsm' | 'action'): Problem {
  const errno = attributes.errors.get(part) ?? 0;
  const what = { stat: 'attributes', hsm: 'HSM state', action: 'current action' }[part];
  return { path, fid, code: 'UNREADABLE', text: `its ${what} can't be read: ${errnoText(errno)}` };
}
