import type { Catalog } from '../catalog/catalog.ts';
import type { Known, Mark, MarkPut, Stamp } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { type Before, batchOf, type Decision, decide, type Timing } from './decide.ts';
import type { Fresh, Seen } from './fresh.ts';
import { inDirectories, type Stripes, strangeParents } from './stripes.ts';

/** What is asked besides what the catalog keeps. */
export interface LookParts {
  /** What the coordinator has under way for each file. */
  readonly actions?: boolean;
}

/** Where files are looked at: Lustre (lustre-source.ts), or a model of it in tests. */
export interface FileSource {
  /**
   * Looks at these. What is told as dead is dead under the catalog's file system: rejects, with nothing told, where
   * that is not certain.
   */
  look(fids: readonly Fid[], options?: LookParts): Promise<Map<Fid, Seen>>;
  /** Of FIDs that are named as directories: those that are stripes of another one, with that. */
  stripes(fids: readonly Fid[]): Promise<Map<Fid, Fid>>;
}

export interface Refreshed {
  /** Go on from here; undefined: this was the last mark of a round. */
  readonly next: Fid | undefined;
  readonly looked: number;
  readonly added: number;
  readonly changed: number;
  readonly died: number;
  readonly failed: number;
}

/**
 * Looks at some marked files and brings catalog and journal up to date with what they are, in one transaction. Marks
 * that were put again meanwhile stay. Several may do so at once, as a scan beside the follower.
 * @param after where the round is, as `next` said
 */
export async function refresh(
  catalog: Catalog,
  source: FileSource,
  { after, limit, timing }: { after: Fid | undefined; limit: number; timing: () => Timing },
): Promise<Refreshed> {
  const marks = await catalog.marks(after, limit);
  if (marks.length === 0) return { next: undefined, looked: 0, added: 0, changed: 0, died: 0, failed: 0 };
  const fids = marks.map((mark) => mark.fid);
  // Another process may look at the same files: what was put since is at least as fresh, and its mark stays for a further look.
  const asOf = await catalog.now();
  const scanning = (await catalog.scanning()) !== undefined;
  const known: Map<Fid, Before> = await catalog.known(fids);
  const found = await source.look(fids);
  const strange = await strangeParents(catalog, found);
  const news = await newStripes(source, { seen: found, known, unknown: strange.unknown });
  const seen = inDirectories(found, new Map([...strange.stripes, ...news]));
  await noteHolding(catalog, freshIn(seen), known);
  const decisions = new Map<Fid, Decision>();
  const looked: Mark[] = [];
  const met: Fid[] = [];
  const directories: MarkPut[] = [];
  let failed = 0;
  for (const mark of marks) {
    const one = seen.get(mark.fid);
    if (one === undefined) continue;
    const directory = news.get(mark.fid);
    if (directory !== undefined) {
      directories.push({ fid: directory, hints: mark.hints, since: mark.since });
      looked.push(mark);
      continue;
    }
    const before = known.get(mark.fid);
    const decision = asKnown(decide(mark, before, one, timing()), before, asOf);
    const { put } = decision;
    decisions.set(mark.fid, decision);
    // One that was moved out of the scan's sight brings along what is in it.
    if (scanning && put?.entry.type === 'dir') met.push(mark.fid);
    looked.push(mark);
    if (one.kind === 'failed') failed++;
  }
  const batch = batchOf(decisions, looked);
  const shards = [...news].map(([shard, directory]) => ({ shard, directory }));
  const { added, changed, died } = await catalog.apply({ ...batch, shards, met, marks: directories });
  const last = marks.length < limit ? undefined : marks[marks.length - 1]?.fid;
  return { next: last, looked: looked.length, added, changed, died, failed };
}

/**
 * A decision that counts only as long as nobody has seen more of the file than was known before it was looked at: neither
 * anything newer, nor its death.
 */
export function asKnown(decision: Decision, known: Known | undefined, asOf: Stamp): Decision {
  const { put } = decision;
  if (put === undefined) return decision;
  return { ...decision, put: { ...put, unlessSeenAfter: asOf, unlessGone: known?.entry !== undefined } };
}

/**
 * Adds to what was known of directories that are looked at for the first time whether names in them are known. To be asked
 * after the look: what is in such a directory may have been put right by then, where it had another name.
 */
export async function noteHolding(
  catalog: Pick<Catalog, 'children'>,
  fresh: Iterable<Fresh>,
  known: Map<Fid, Before>,
): Promise<void> {
  for (const { entry } of fresh) {
    const before = known.get(entry.fid) ?? UNKNOWN;
    if (entry.type !== 'dir' || before.entry !== undefined) continue;
    const [child] = await catalog.children(entry.fid, undefined, 1);
    if (child !== undefined) known.set(entry.fid, { ...before, holds: true });
  }
}

const UNKNOWN: Before = { links: [], blobs: [] };

function* freshIn(seen: ReadonlyMap<Fid, Seen>): Generator<Fresh> {
  for (const one of seen.values()) if (one.kind === 'alive') yield one.fresh;
}

/**
 * Stripes of directories that nobody knows yet: among parents, and among what could not be looked at, since nobody is shown a
 * stripe (EPERM), and up to 2.15 records name them as directories.
 */
async function newStripes(
  source: FileSource,
  {
    seen,
    known,
    unknown,
  }: {
    readonly seen: ReadonlyMap<Fid, Seen>;
    readonly known: ReadonlyMap<Fid, Known>;
    readonly unknown: readonly Fid[];
  },
): Promise<Stripes> {
  const failed = [...seen].filter(([fid, one]) => one.kind === 'failed' && known.get(fid)?.entry === undefined);
  const asked = [...new Set([...unknown, ...failed.map(([fid]) => fid)])];
  return asked.length === 0 ? new Map() : source.stripes(asked);
}
