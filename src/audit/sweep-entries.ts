import type { Known, KnownEntry, PathResult } from '../catalog/types.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { hasCopy, isClean } from '../lustre/hsm-state.ts';
import { type Subject, subjectOf } from './subject.ts';
import type { SweepContext } from './sweep.ts';
import { journal } from './sweep-journal.ts';

/**
 * Entries that lack a blob: none is known for them, or not all of them: a file of several links has its content and a marker
 * for each further link, and with several archives each has a directory's marker.
 */
export async function sweepEntries(context: SweepContext): Promise<void> {
  const { catalog, signal, archives } = context;
  for await (const page of catalog.withoutBlob()) {
    if (signal.aborted) return;
    await check(
      context,
      page.filter((entry) => !isLinked(entry) && !(archives.size > 1 && hasMarker(entry))),
    );
  }
  for await (const page of catalog.entries()) {
    if (signal.aborted) return;
    await check(
      context,
      page.filter((entry) => isLinked(entry) || (archives.size > 1 && hasMarker(entry))),
    );
  }
}

const hasMarker = ({ type }: KnownEntry) => type === 'dir' || type === 'symlink';
const isLinked = ({ type, nlink }: KnownEntry) => type === 'file' && nlink > 1;
const stateOf = ({ hsm, archive }: Pick<KnownEntry, 'hsm' | 'archive'>) => ({ states: hsm, archive });

async function check(context: SweepContext, entries: readonly KnownEntry[]): Promise<void> {
  const { catalog, session } = context;
  const wanting = entries.filter((entry) => entry.fid !== ROOT_FID && wantsBlob(entry));
  if (wanting.length === 0) return;
  const fids = wanting.map(({ fid }) => fid);
  const [known, paths] = [await catalog.known(fids), await catalog.paths(fids)];
  const found = new Set<Fid>();
  const marks = new Set<Fid>();
  for (const entry of wanting) {
    session.tally.count('checked');
    const outcome = checkEntry(context, entry, known.get(entry.fid), paths.get(entry.fid) ?? []);
    if (outcome === 'lacking') found.add(entry.fid);
    if (outcome === 'unplaced') marks.add(entry.fid);
  }
  await journal(context, found, marks, [], session.tally);
  context.tell();
}

/** Modified files wait for their next archive; but their further links have markers. */
function wantsBlob(entry: KnownEntry): boolean {
  return hasMarker(entry) || (entry.type === 'file' && (isLinked(entry) ? hasCopy : isClean)(stateOf(entry)));
}

function checkEntry(
  context: SweepContext,
  entry: KnownEntry,
  known: Known | undefined,
  paths: readonly PathResult[],
): 'lacking' | 'unplaced' | undefined {
  const { fid } = entry;
  let lacking = false;
  for (const [archive, { prefix }] of context.archives) {
    // A file's copy and its markers are in the archive that it names.
    if (entry.type === 'file' && entry.archive !== 0 && entry.archive !== archive) continue;
    const subject = subjectOf(entry, paths, prefix);
    if (subject === undefined) {
      context.session.tally.count('unplaced');
      return 'unplaced';
    }
    context.session.tally.count('unnameable', subject.unnameable);
    const blobs = (known?.blobs ?? []).filter((blob) => blob.archive === archive);
    for (const { code, name } of lacksOf(subject, blobs)) {
      context.finding({ code, fid, archive, ...(name === undefined ? {} : { name }) });
      lacking = true;
    }
  }
  return lacking ? 'lacking' : undefined;
}

type Lack = { readonly code: 'missing' | 'names'; readonly name?: string };

/** What should be there and is not known to be. */
function lacksOf(subject: Subject, blobs: Known['blobs']): Lack[] {
  const names = [...subject.names];
  const there = new Set(blobs.map(({ name }) => name));
  const bare = names.filter((name) => !there.has(name));
  if (subject.type !== 'file') return bare.map((name) => ({ code: 'missing', name }));
  if (names.length === 0) return [];
  const [first] = names;
  if (isClean(stateOf(subject)) && !blobs.some(({ kind }) => kind === 'file')) {
    return [first === undefined ? { code: 'missing' } : { code: 'missing', name: first }];
  }
  // Where a modified file's next copy will be, or one that is somewhere else, need not be anything.
  const placed = blobs.some(({ kind, name }) => kind === 'file' && subject.names.has(name));
  return bare.slice(placed ? 0 : 1).map((name) => ({ code: 'names', name }));
}
