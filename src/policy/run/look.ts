import type { Catalog } from '../../catalog/catalog.ts';
import type { CatalogBatch, EntryPut } from '../../catalog/types.ts';
import type { Needs } from '../../expression/walk.ts';
import { batchOf, type Decision, decide, LOOK_AGAIN_MS, type Timing } from '../../follow/decide.ts';
import type { Fresh, Seen } from '../../follow/fresh.ts';
import { asKnown, type FileSource } from '../../follow/refresh.ts';
import { inDirectories, strangeParents } from '../../follow/stripes.ts';
import type { Fid } from '../../identity/fid.ts';
import type { FileAttributes, LustreFiles, Part } from '../../lustre/attributes.ts';
import { ERRNO } from '../../lustre/errno.ts';
import type { CurrentAction } from '../../lustre/hsm-state.ts';
import { ErrnoError } from '../../service/errors.ts';

/** A file as it is just now, with what conditions look at. */
export interface LookedFile {
  readonly fid: Fid;
  readonly fresh: Fresh;
  readonly action: CurrentAction;
  /** Every path, where conditions or a target need them. */
  readonly paths: readonly Buffer[] | undefined;
  readonly xattrs: ReadonlyMap<string, Buffer> | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export type Looked = LookedFile | 'dead' | 'unreadable';

export interface LookOptions {
  readonly files: Pick<LustreFiles, 'getMany'>;
  readonly source: FileSource;
  readonly catalog: Pick<Catalog, 'now' | 'known' | 'present' | 'stripes'>;
  /** What was seen goes into the catalog; undefined: of a dry run, it does not, and what the catalog has of the files is not read. */
  readonly note: ((batch: CatalogBatch) => Promise<unknown>) | undefined;
  readonly now: () => number;
  /** `follow.settle`, milliseconds: a directory's times are left to settle before its marker follows. */
  readonly settle: number;
}

/**
 * Looks at many files at once. What is seen is put into the catalog, and what follows for the container into its journal:
 * a run is as good as the changelog's records for the files that it touches.
 * Rejects with FILE_SYSTEM_CHANGED when another file system, or none, is mounted.
 */
export async function lookAtFiles(options: LookOptions, fids: readonly Fid[], needs: Needs): Promise<Map<Fid, Looked>> {
  const { source, catalog, note, now, settle } = options;
  if (fids.length === 0) return new Map();
  const at = now();
  // Before anything is looked at: what is found dead meanwhile must not come to life by what was seen of it.
  const before = note === undefined ? undefined : { asOf: await catalog.now(), known: await catalog.known(fids) };
  const [found, more] = await Promise.all([source.look(fids, { actions: true }), moreOf(options, fids, needs)]);
  const looked = new Map(fids.map((fid, index) => [fid, lookedOf(fid, found.get(fid), more?.[index], at)]));
  if (note === undefined || before === undefined) return looked;
  const seen = inDirectories(found, (await strangeParents(catalog, found)).stripes);
  const timing: Timing = { now: at, settle, again: LOOK_AGAIN_MS };
  const decisions = new Map<Fid, Decision>();
  for (const fid of fids) {
    const one = seen.get(fid);
    // What can't be looked at now proves nothing, and is looked at by the follower in its time.
    if (one === undefined || one.kind === 'failed') continue;
    const mark = { fid, hints: 0, since: Math.floor(at / 1000) };
    const known = before.known.get(fid);
    decisions.set(fid, asKnown(decide(mark, known, one, timing), known, before.asOf));
  }
  await note(await withKnownParents(catalog, batchOf(decisions, []), timing));
  return looked;
}

/** Names in directories that the catalog does not know may be in stripes of one: the follower, or a scan, finds that out. */
async function withKnownParents(
  catalog: LookOptions['catalog'],
  batch: ReturnType<typeof batchOf>,
  { now }: Timing,
): Promise<CatalogBatch> {
  const parents = new Set(batch.puts.flatMap(({ links = [] }) => links.map(({ parent }) => parent)));
  const present = await catalog.present([...parents]);
  if (present.size === parents.size) return batch;
  const strange = ({ links = [] }: EntryPut) => links.some(({ parent }) => !present.has(parent));
  return {
    ...batch,
    puts: batch.puts.map((put) => {
      const { links: _, ...rest } = put;
      return strange(put) ? rest : put;
    }),
    marks: batch.puts.filter(strange).map(({ entry }) => ({ fid: entry.fid, hints: 0, since: Math.floor(now / 1000) })),
  };
}

/** What few conditions need, and what costs a request for each file. */
async function moreOf(
  { files }: LookOptions,
  fids: readonly Fid[],
  needs: Needs,
): Promise<(FileAttributes | ErrnoError)[] | undefined> {
  const parts: Part[] = [];
  if (needs.paths) parts.push('paths');
  if (needs.xattrs.length > 0) parts.push('xattrs');
  if (parts.length === 0) return undefined;
  return await files.getMany(
    fids.map((fid) => ({ fid })),
    { parts, ...(needs.xattrs.length > 0 ? { xattrs: needs.xattrs } : {}) },
  );
}

function lookedOf(fid: Fid, seen: Seen | undefined, more: FileAttributes | ErrnoError | undefined, at: number): Looked {
  if (seen?.kind === 'dead') return 'dead';
  if (seen?.kind !== 'alive') return 'unreadable';
  if (more instanceof ErrnoError) return more.errno === ERRNO.ENOENT ? 'dead' : 'unreadable';
  if (seen.fresh.entry.type === 'file' && seen.action === undefined) return 'unreadable';
  const action: CurrentAction = seen.action ?? { action: 'NOOP', state: 'none', done: 0n };
  return { fid, fresh: seen.fresh, action, paths: more?.paths, xattrs: more?.xattrs, at };
}
