import type { Catalog } from '../catalog/catalog.ts';
import type { KnownEntry } from '../catalog/types.ts';
import type { Expression } from '../expression/ast.ts';
import { truthOf } from '../expression/evaluate.ts';
import { needsOf } from '../expression/walk.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import { printable } from '../lustre/printable.ts';
import { OperatorError } from '../service/errors.ts';

/** A file by one of its names. */
export interface Found {
  readonly entry: KnownEntry;
  /** Relative to the root of the file system, which is empty. */
  readonly path: Buffer;
}

export interface FindOptions {
  readonly catalog: Catalog;
  readonly where: Expression;
  /** Below these, relative to the root; without any: everything. */
  readonly below: readonly Buffer[];
  /** Milliseconds since 1970. */
  readonly now: number;
  /** With an order, what has no name in the catalog is left out all the same. */
  readonly order?: 'last_mod' | 'last_access' | 'last_change' | 'size' | undefined;
  readonly descending?: boolean;
  /** Names at most. */
  readonly limit?: number | undefined;
  readonly signal: AbortSignal;
}

/** Names of files that certainly meet the condition, as the catalog has them, page by page. A file comes once for each name. */
export async function* find(options: FindOptions): AsyncGenerator<Found[]> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for await (const page of pagesOf(options)) {
    options.signal.throwIfAborted();
    const given = page.filter(({ entry, path }) => holds(options, entry, path)).slice(0, left);
    left -= given.length;
    if (given.length > 0) yield given;
    if (left <= 0) return;
  }
}

/** With the one name: of `name == "a"`, other links of the file are not meant. */
function holds({ where, now }: FindOptions, entry: KnownEntry, path: Buffer): boolean {
  return truthOf(where, needsOf(where).paths ? { ...entry, paths: [path] } : entry, now) === true;
}

async function* pagesOf(options: FindOptions): AsyncGenerator<Found[]> {
  const { below, order } = options;
  if (below.length === 0) yield* everything(options);
  else if (order === undefined) for (const path of below) yield* subtree(options, path);
  else yield* within(options);
}

async function* everything({ catalog, where, now, order, descending = false }: FindOptions): AsyncGenerator<Found[]> {
  for await (const page of catalog.select({ where, now, order: order ?? 'none', descending })) {
    const paths = await catalog.paths(page.map(({ fid }) => fid));
    yield page.flatMap((entry) =>
      (paths.get(entry.fid) ?? []).flatMap((path): Found[] => (path.ok ? [{ entry, path: path.path }] : [])),
    );
  }
}

/** In an order: of everything, what lies below. */
async function* within(options: FindOptions): AsyncGenerator<Found[]> {
  const { below } = options;
  for await (const page of everything(options)) {
    yield page.filter(({ path }) => below.some((directory) => isBelow(path, directory)));
  }
}

async function* subtree({ catalog }: FindOptions, path: Buffer): AsyncGenerator<Found[]> {
  const top = await topOf(catalog, path);
  const entry = (await catalog.known([top])).get(top)?.entry;
  if (entry !== undefined) yield [{ entry, path }];
  for await (const page of catalog.subtree(top)) {
    yield page.flatMap((one): Found[] => {
      return one.entry === undefined ? [] : [{ entry: one.entry, path: joinBytes(path, one.path) }];
    });
  }
}

async function topOf(catalog: Catalog, path: Buffer): Promise<Fid> {
  const fid = path.length === 0 ? ROOT_FID : await catalog.lookup(path);
  if (fid !== undefined) return fid;
  throw new OperatorError(`The catalog knows nothing by the name of ${printable(path)}.`, {
    code: 'NOT_IN_CATALOG',
    hint: 'Is the path right, and below the mount point? What was made just now may not be known yet.',
    exit: 'usage',
  });
}

function isBelow(path: Buffer, directory: Buffer): boolean {
  if (directory.length === 0) return true;
  if (!path.subarray(0, directory.length).equals(directory)) return false;
  return path.length === directory.length || path[directory.length] === 0x2f;
}

/**
 * Paths that an operator gave, relative to the root.
 * @throws OperatorError (exit `usage`) for one that is not below the mount point
 */
export function belowMount(paths: readonly Buffer[], mount: string): Buffer[] {
  const root = Buffer.from(mount.replace(/\/+$/, ''));
  return paths.map((path) => {
    let end = path.length;
    while (end > 1 && path[end - 1] === 0x2f) end -= 1;
    const trimmed = path.subarray(0, end);
    if (trimmed.equals(root)) return Buffer.alloc(0);
    const prefix = Buffer.concat([root, Buffer.from('/')]);
    if (trimmed.subarray(0, prefix.length).equals(prefix)) return trimmed.subarray(prefix.length);
    throw new OperatorError(`${printable(path)} is not below ${mount}.`, {
      ...{ code: 'NOT_BELOW_MOUNT', hint: 'Name absolute paths below the mount point.', exit: 'usage' },
    });
  });
}
