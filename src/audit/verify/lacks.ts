import type { BlobStore } from '../../blob/store.ts';
import type { Known, KnownBlob } from '../../catalog/types.ts';
import { searchCopy } from '../../copies/search-copy.ts';
import { ROOT_FID } from '../../identity/fid.ts';
import { hasCopy, isClean } from '../../lustre/hsm-state.ts';
import { isMarkerOf } from '../imported.ts';
import { type Subject, subjectAt } from '../subject.ts';
import { isResident, stateOf } from './blob-codes.ts';
import { look, type VerifyContext } from './context.ts';
import type { FindingSink } from './doubts.ts';
import type { Found } from './findings.ts';
import { type Alive, ownerOf } from './look.ts';

/** Tells which blobs of something alive are not there, as far as this run has not seen them. */
export async function verifyLacks(context: VerifyContext, alive: Alive, known: Known | undefined): Promise<void> {
  const { type, fid, archive: own } = alive.entry;
  if (fid === ROOT_FID) return;
  for (const [archive, store] of context.archives) {
    if (type === 'file' && own !== 0 && own !== archive) continue;
    const seen = (known?.blobs ?? []).filter(
      (blob) => blob.archive === archive && (blob.verifiedAt ?? 0) >= context.since,
    );
    const subject = subjectAt(alive.entry, alive.paths, store.prefix);
    if (type === 'dir' || type === 'symlink') {
      const imported = (known?.blobs ?? []).filter((blob) => blob.archive === archive && blob.etag !== undefined);
      await lacksMarkers(context, archive, store, alive, bareOf(subject, seen), imported);
    }
    if (type === 'file') await lacksOfFile(context, archive, store, alive, subject, seen);
  }
}

function bareOf({ names }: Subject, seen: readonly KnownBlob[]): string[] {
  const there = new Set(seen.map(({ name }) => name));
  return [...names].filter((name) => !there.has(name));
}

async function lacksOfFile(
  context: VerifyContext,
  archive: number,
  store: BlobStore,
  alive: Alive,
  subject: Subject,
  seen: readonly KnownBlob[],
): Promise<void> {
  if (!hasCopy(stateOf(alive)) || subject.names.size === 0) return;
  const content = seen.filter(({ kind }) => kind === 'file');
  if (isClean(stateOf(alive)) && content.length === 0) await lacksCopy(context, archive, store, alive);
  if (subject.names.size < 2) return;
  // Where a modified file's next copy will be, or one that is somewhere else, need not be anything.
  const placed = content.some(({ name }) => subject.names.has(name));
  await lacksMarkers(context, archive, store, alive, bareOf(subject, seen).slice(placed ? 0 : 1));
}

/** A copy is looked for as a restore does; a file that is bound to a blob that others wrote has it there. */
async function lacksCopy(context: VerifyContext, archive: number, store: BlobStore, alive: Alive): Promise<void> {
  const now = (await look(context, [alive.entry.fid])).get(alive.entry.fid);
  if (now === undefined || now === 'dead' || now === 'failed' || !isClean(stateOf(now))) return;
  const { signal, fsUuid, findings } = context;
  const { copy, misses } = await searchCopy(ownerOf(now), { store, prefix: store.prefix }, fsUuid, signal);
  if (copy !== undefined) return;
  const [name] = subjectAt(now.entry, now.paths, store.prefix).names;
  const resident = isResident(now);
  const again = (sink: FindingSink) => lacksCopy({ ...context, findings: sink }, archive, store, alive);
  const found: Found = {
    ...{ code: resident ? 'missing' : 'lost', fid: now.entry.fid, path: now.paths[0], archive },
    ...(name === undefined ? {} : { blob: name }),
    detail: misses.map((miss) => `${JSON.stringify(miss.name)}: ${miss.found}`).join('; '),
    remedy: resident ? 'archive' : 'none',
  };
  await findings.add(found, undefined, again);
}

async function lacksMarkers(
  context: VerifyContext,
  archive: number,
  store: BlobStore,
  alive: Alive,
  names: readonly string[],
  imported: readonly KnownBlob[] = [],
): Promise<void> {
  if (names.length === 0) return;
  const { signal, fsUuid, findings } = context;
  const {
    entry: { fid },
    paths,
  } = alive;
  for (const blob of names) {
    const there = await store.head(blob, { signal });
    if (there?.identity?.fs === fsUuid && there.identity.fid === fid) continue;
    if (there !== undefined && imported.some((one) => one.name === blob && isMarkerOf(one, there.etag))) continue;
    const now = (await look(context, [fid])).get(fid);
    if (now === undefined || now === 'dead' || now === 'failed') return;
    if (!subjectAt(now.entry, now.paths, store.prefix).names.has(blob)) continue;
    const again = (sink: FindingSink) =>
      lacksMarkers({ ...context, findings: sink }, archive, store, alive, [blob], imported);
    await findings.add({ code: 'missing', fid, path: paths[0], archive, blob, remedy: 'follower' }, undefined, again);
  }
}
