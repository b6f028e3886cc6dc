import type { Fid } from '../identity/fid.ts';
import type { AskedFiles } from './asked.ts';
import type { Blobs } from './blobs.ts';
import type { Moment } from './connection.ts';
import type { Cursors } from './cursors.ts';
import type { Entries } from './entries.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Imports } from './imports.ts';
import type { Journal } from './journal.ts';
import { LastPaths, type LastPlace } from './last-paths.ts';
import type { LinkFindings, Links, PathWalker } from './links.ts';
import type { Marks } from './marks.ts';
import { PAGE } from './pages.ts';
import type { Records } from './records.ts';
import type { Tombstones } from './tombstones.ts';
import type { BatchResult, CatalogBatch, Death, EntryPut } from './types.ts';
import type { Walk } from './walk.ts';

/** The tables, by what they hold. */
export interface Tables {
  readonly keys: FidKeys;
  readonly entries: Entries;
  readonly links: Links;
  readonly blobs: Blobs;
  readonly tombstones: Tombstones;
  readonly marks: Marks;
  readonly journal: Journal;
  readonly cursors: Cursors;
  readonly records: Records;
  readonly walk: Walk;
  readonly imports: Imports;
  readonly asked: AskedFiles;
}

/** The follower's hints are its own; what the catalog itself finds out has none. */
const NO_HINTS = 0;

/** Makes the changes of one batch; in a write transaction. */
export function applyBatch(tables: Tables, batch: CatalogBatch, moment: Moment): BatchResult {
  const { keys, links, blobs, marks, journal, cursors, records } = tables;
  const { stamp, ms } = moment;
  const result = { stamp, added: 0, changed: 0, skipped: 0, died: 0 };
  const findings: LinkFindings = { displaced: new Set(), parents: new Set() };
  links.begin();

  // Where the dead were is to be known before anything moves.
  const walker = (batch.deaths ?? []).length > 0 ? links.walker() : undefined;
  const graves = (batch.deaths ?? []).map((death) => graveOf(tables, death, walker));

  for (const { shard, directory } of batch.shards ?? []) {
    links.putShard(keys.store(shard), keys.store(directory), findings);
  }
  const skipped = putEntries(tables, batch.puts ?? [], moment, findings, result);
  for (const { fid, blob } of batch.blobs ?? []) if (!skipped.has(fid)) blobs.put(keys.store(fid), blob);
  for (const { fid, archive, name } of batch.blobsGone ?? []) blobs.delete(keys.store(fid), archive, name);
  const lastPaths = new LastPaths(tables, new Map(graves.map((grave) => [grave.key, grave])));
  const scanning = graves.length > 0 && records.fact('scanning') !== undefined;
  for (const grave of graves) {
    if (bury(tables, grave, lastPaths, moment)) result.died++;
    if (scanning) tables.tombstones.dig(grave.key);
  }
  for (const binding of batch.bindings ?? []) {
    if (!skipped.has(binding.fid)) records.putBinding(keys.store(binding.fid), binding);
  }
  for (const fid of batch.bindingsGone ?? []) records.dropBinding(keys.store(fid));
  if (batch.imports !== undefined) tables.imports.apply(batch.imports, Math.floor(ms / 1000));

  for (const { fid, stamp: asOf } of batch.looked ?? []) {
    if (!skipped.has(fid)) marks.done(keys.store(fid), asOf);
  }
  for (const { fid, hints, since, last } of batch.marks ?? []) marks.put(keys.store(fid), hints, since, stamp, last);
  markFindings(tables, findings, moment);

  for (const outcome of batch.outcomes ?? []) journal.settle(keys.store(outcome.fid), outcome, ms);
  for (const put of batch.journal ?? []) {
    if (!skipped.has(put.fid)) journal.put(keys.store(put.fid), put, stamp);
  }
  for (const fid of batch.buried ?? []) {
    const key = keys.store(fid);
    tables.tombstones.bury(key, ms);
    blobs.deleteAll(key);
  }
  for (const fid of batch.exhumed ?? []) {
    const key = keys.store(fid);
    tables.tombstones.delete(key);
    blobs.deleteAll(key);
  }
  for (const failure of batch.failures ?? []) records.putFailure(keys.store(failure.fid), failure, ms);
  for (const fid of batch.failuresGone ?? []) records.dropFailures(keys.store(fid));
  for (const { fid, kind } of batch.failuresOver ?? []) records.dropFailure(keys.store(fid), kind);
  for (const asked of batch.asked ?? []) tables.asked.put(keys.store(asked.fid), asked);
  for (const { policy, fid } of batch.askedGone ?? []) tables.asked.drop(keys.store(fid), policy);
  for (const move of batch.cursors ?? []) cursors.put(move, stamp);
  for (const fid of batch.met ?? []) tables.walk.met(keys.store(fid));
  for (const fid of batch.walked ?? []) tables.walk.done(keys.store(fid));
  for (const checkpoint of batch.checkpoints ?? []) records.putCheckpoint(checkpoint, ms);
  for (const name of batch.checkpointsGone ?? []) records.dropCheckpoint(name);
  for (const event of batch.events ?? []) records.putEvent(event);
  tables.entries.finish();
  return result;
}

/** @returns files whose put was out of date: nothing that the batch says of them holds */
function putEntries(
  { keys, entries, links, tombstones }: Tables,
  puts: readonly EntryPut[],
  { stamp }: Moment,
  findings: LinkFindings,
  result: { added: number; changed: number; skipped: number },
): Set<Fid> {
  const skipped = new Set<Fid>();
  const anyDead = tombstones.any();
  const anyGrave = tombstones.anyGrave();
  // In the order of the keys: neighbours lie on the same pages.
  const ordered = puts.map((put) => ({ put, key: keys.store(put.entry.fid) })).sort((a, b) => a.key - b.key);
  for (const { put, key } of ordered) {
    const dead = anyGrave && put.unlessSeenAfter !== undefined && tombstones.inGrave(key);
    const outcome = dead ? 'skipped' : entries.put(key, put, stamp);
    if (outcome === 'added' && anyDead) tombstones.delete(key);
    if (outcome !== 'same') result[outcome]++;
    if (outcome === 'skipped') skipped.add(put.entry.fid);
    else if (put.links !== undefined) links.put(key, put.links, outcome === 'added', findings);
  }
  return skipped;
}

interface Grave extends LastPlace {
  readonly key: number;
  readonly death: Death;
}

function graveOf({ keys }: Tables, death: Death, walker: PathWalker | undefined): Grave {
  const key = keys.store(death.fid);
  const path = walker?.pathsOf(key).find((one) => one.ok);
  return { key, death, path: path?.ok === true ? path.path : undefined, last: death.last };
}

/** Takes a dead file out of the living; it gets a tombstone if there may be a blob of it. @returns whether it was known */
function bury(tables: Tables, grave: Grave, lastPaths: LastPaths, { stamp }: Moment) {
  const { entries, links, blobs, tombstones, journal, marks, records } = tables;
  const { key, death } = grave;
  const entry = entries.remove(key);
  if (entry?.type === 'dir') markChildren({ links, marks }, key, death.at, stamp);
  links.removeAll(key);
  journal.drop(key);
  records.dropFailures(key);
  const known = blobs.of(key);
  const mayHaveBlob =
    known.length > 0 ||
    death.maybeCopied === true ||
    (entry !== undefined && (entry.hsm !== 0 || entry.type === 'dir' || entry.type === 'symlink'));
  // Nobody has seen it, or another file has its name by now: the name that records told is all there is.
  const { last } = death.maybeCopied === true ? death : {};
  const path = grave.path ?? (last === undefined ? undefined : lastPaths.of(last));
  const of = entry ?? (known.length > 0 || path !== undefined ? strangerOf(death) : undefined);
  if (mayHaveBlob && of !== undefined) tombstones.put(key, of, path, death.at, entry !== undefined);
  return entry !== undefined;
}

/** A dead thing of which only the blob was known, or where it may be. */
function strangerOf({ fid, at, type = 'file' }: Death) {
  const nothing = { mode: 0, uid: 0, gid: 0, project: 0, nlink: 0, hsm: 0, archive: 0, osts: [], pool: '', seen: 0 };
  return { ...nothing, fid, type, size: 0n, blocks: 0n, atime: at, mtime: at, ctime: at } as const;
}

/** A directory that is gone was empty: what seems to be in it is somewhere else. */
function markChildren({ links, marks }: Pick<Tables, 'links' | 'marks'>, key: number, since: number, stamp: number) {
  let after: Buffer = Buffer.alloc(0);
  for (;;) {
    const children = links.children(key, after, PAGE);
    for (const child of children) marks.put(child.key, NO_HINTS, since, stamp);
    const last = children[children.length - 1];
    if (last === undefined || children.length < PAGE) return;
    after = last.name;
  }
}

/** Who lost a name to another, and directories that are named but not known, are to be looked at. */
function markFindings({ entries, marks }: Tables, findings: LinkFindings, { stamp, ms }: Moment): void {
  const since = Math.floor(ms / 1000);
  for (const key of findings.displaced) marks.put(key, NO_HINTS, since, stamp);
  for (const key of findings.parents) if (!entries.has(key)) marks.put(key, NO_HINTS, since, stamp);
}
