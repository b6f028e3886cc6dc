import { isBlobError } from '../../blob/errors.ts';
import { blobNameOf } from '../../blob/naming.ts';
import { encodeXattrs } from '../../blob/xattrs.ts';
import type { JournalEntry, KnownBlob } from '../../catalog/types.ts';
import { chooseCanonical, nameLinks } from '../../copies/names.ts';
import { ownRecord } from '../../identity/copy-of.ts';
import { type Fid, ROOT_FID } from '../../identity/fid.ts';
import { hasCopy, isClean } from '../../lustre/hsm-state.ts';
import { printable } from '../../lustre/printable.ts';
import { REASON } from '../reasons.ts';
import { isRearchived, type MoveRow } from './by-restore.ts';
import type { Place, ReconcileContext } from './context.ts';
import { placeCopy, stageCopy } from './copies.ts';
import { Occupied, passesIn, ReconcileError, UNNAMEABLE } from './errors.ts';
import { fateAt, lookAt, type View } from './look.ts';
import { placeMarkers, type WantedMarker } from './markers.ts';
import { journalSubtree } from './subtree.ts';

/** Files that wait for each other's names, one behind the other: what is deeper is done later. */
const MAX_DEPTH = 32;
/** Names that are freed for one file before it is looked at again later. */
const MAX_ROUNDS = 8;

/**
 * Makes the container match one file, directory or symlink, as Lustre shows it now. Why it is asked for does not
 * matter, nor does how far an earlier try got: everything is looked at, and done again if need be.
 *
 * A file whose name is taken by the copy of another living one has that one put right first. Where such files wait for
 * each other in a circle (names that were swapped), one copy steps aside into our own namespace.
 */
export class Reconciler {
  readonly #context: ReconcileContext;
  readonly #busy = new Set<Fid>();

  constructor(context: ReconcileContext) {
    this.#context = context;
  }

  /**
   * Does what a row of the journal asks for; the row itself is the caller's.
   * @throws ReconcileError, BlobError, ErrnoError; the signal's reason; OperatorError FILE_SYSTEM_CHANGED
   */
  async reconcile(row: Pick<JournalEntry, 'fid' | 'reasons' | 'stamp' | 'since' | 'progress'>): Promise<void> {
    await this.#alone(row.fid, [], row);
    await this.#context.step('done');
  }

  /** One worker per file; whoever comes second comes again, since two may be waiting for each other. */
  async #alone(
    fid: Fid,
    waiting: readonly Fid[],
    row?: Pick<JournalEntry, 'reasons' | 'stamp' | 'since' | 'progress'>,
  ) {
    if (this.#busy.has(fid)) throw new ReconcileError('busy', 'soon', `${fid} is being worked on`);
    this.#busy.add(fid);
    try {
      for (let round = 1; ; round++) {
        try {
          return await this.#once(fid, row);
        } catch (error) {
          if (!(error instanceof Occupied)) throw error;
          if (round >= MAX_ROUNDS) throw new ReconcileError('in-the-way', 'later', error.message);
          await this.#makeWay(error, [...waiting, fid]);
        }
      }
    } finally {
      this.#busy.delete(fid);
    }
  }

  async #once(fid: Fid, row?: Pick<JournalEntry, 'reasons' | 'stamp' | 'since' | 'progress'>): Promise<void> {
    const context = this.#context;
    context.signal.throwIfAborted();
    const view = await lookAt(context, fid);
    await context.step('looked');
    if (view === 'dead') {
      // What it left stays for the grace period, and goes when the dead are reaped.
      await context.catalog.apply({ deaths: [{ fid, at: Math.floor(Date.now() / 1000) }] });
      return;
    }
    if (fid === ROOT_FID) return;
    const { userXattrs } = view.stat;
    const leftOut = userXattrs === undefined ? 0 : encodeXattrs(userXattrs).leftOut;
    if (leftOut > 0) context.log.warn('extended attributes do not fit into metadata', { fid, leftOut });
    // Nobody tells when what has no name dies: it is looked at until it does.
    if (row !== undefined && (row.reasons & REASON.LOOK) !== 0)
      await context.catalog.apply({ marks: [{ fid, hints: 0, since: row.since }] });
    if (row !== undefined && view.stat.type === 'dir' && (row.reasons & REASON.TREE) !== 0)
      await journalSubtree(context, fid, row);
    if (row !== undefined && (row.reasons & REASON.ARCHIVE_AGAIN) !== 0) await this.#archiveAgain(view);
    const known = (await context.catalog.known([fid])).get(fid)?.blobs ?? [];
    for (const [archive, store] of context.archives) await this.#in({ archive, store }, view, known, row);
  }

  async #in(place: Place, view: View, known: readonly KnownBlob[], row?: MoveRow): Promise<void> {
    const { type } = view.stat;
    if (type === 'file') return this.#file(place, view, known, row);
    if (type !== 'dir' && type !== 'symlink') return;
    const { named, refused } = nameLinks(view.paths, place.store.prefix);
    const wanted = named.map(({ name }) => ({ kind: type, name }));
    await placeMarkers(this.#context, place, view, wanted, known);
    mustBeNamed(refused);
  }

  async #file(place: Place, view: View, known: readonly KnownBlob[], row?: MoveRow): Promise<void> {
    const context = this.#context;
    const { store, archive } = place;
    // A copy in another archive than the file's own is not this one's to judge.
    if (view.hsm.archive !== 0 && view.hsm.archive !== archive) return;
    const copied = hasCopy(view.hsm) || ownRecord(view) !== undefined;
    // Without a name it lives on as long as somebody has it open: its copy stays, its links go.
    const { named, refused } = nameLinks(copied ? view.paths : [], store.prefix);
    const canonical = await chooseCanonical(view.fid, named, store, context.fs, context.fsUuid, context.signal);
    // What is modified is written by its next archive; until then its copy stays where it is.
    if (canonical !== undefined && isClean(view.hsm)) await placeCopy(context, place, view, canonical.name, known, row);
    else if (canonical !== undefined && isRearchived(row)) await context.archiveAgain(view.fid);
    const links = named.filter(({ name }) => name !== canonical?.name);
    const wanted = links.map(({ name }): WantedMarker => ({ kind: 'link', name, linkTo: canonical?.name ?? '' }));
    await placeMarkers(context, place, view, wanted, known);
    mustBeNamed(refused);
  }

  /** An archive ended because another file's copy has its name: frees that, and asks for it again. */
  async #archiveAgain(view: View): Promise<void> {
    const context = this.#context;
    const { fid, stat, hsm, paths } = view;
    if (stat.type !== 'file' || paths.length === 0 || isClean(hsm)) return;
    for (const [archive, store] of context.archives) {
      const { named } = nameLinks(paths, store.prefix);
      const canonical = await chooseCanonical(fid, named, store, context.fs, context.fsUuid, context.signal);
      if (canonical === undefined) continue;
      const { identity } = (await store.head(canonical.name, { signal: context.signal })) ?? {};
      if (identity?.fs !== context.fsUuid || identity.fid === fid) continue;
      const fate = await fateAt(context, identity.fid, canonical.name, store.prefix);
      if (fate === 'elsewhere') throw new Occupied(identity.fid, canonical.name, archive);
    }
    await context.archiveAgain(fid);
  }

  /** Has whoever is in the way put right; if it is still there, its copy steps aside. */
  async #makeWay({ by, blob: name, archive }: Occupied, waiting: readonly Fid[]): Promise<void> {
    const context = this.#context;
    const place: Place = { archive, store: context.archives.get(archive) as Place['store'] };
    // Whatever comes between: it is looked at again.
    await context.catalog.apply({
      journal: [{ fid: by, reasons: REASON.IN_THE_WAY, since: Math.floor(Date.now() / 1000) }],
    });
    const isCircle = waiting.includes(by);
    if (!isCircle) {
      if (waiting.length >= MAX_DEPTH) throw new ReconcileError('in-the-way', 'soon', `${name} is taken by ${by}`);
      await this.#alone(by, waiting).catch(passOverItsOwn);
    }
    const there = await place.store.head(name, { signal: context.signal });
    const { identity } = there ?? {};
    if (there === undefined || identity?.fs !== context.fsUuid || identity.fid !== by) return;
    const owner = await lookAt(context, by);
    if (owner === 'dead') return;
    if (owner.paths.some((path) => isAt(path, name, place.store.prefix)))
      throw new ReconcileError('busy', 'soon', `${JSON.stringify(name)} belongs to ${by} by now`);
    if (identity.kind !== 'file')
      throw new ReconcileError('in-the-way', 'later', `${JSON.stringify(name)} holds a marker of ${by}`);
    await stageCopy(context, place, owner, there);
  }
}

/** What is wrong with whoever is in the way is told by its own row, and must not keep others from its old name. */
function passOverItsOwn(error: unknown): void {
  const isItsOwn = (error instanceof ReconcileError || isBlobError(error)) && passesIn(error) === undefined;
  if (!isItsOwn) throw error;
}

function isAt(path: Buffer, name: string, prefix: string): boolean {
  const named = blobNameOf(path, prefix);
  return named.ok && named.name === name;
}

/** What can be named is done by now. */
function mustBeNamed(refused: readonly string[]): void {
  if (refused[0] !== undefined)
    throw new ReconcileError('name', 'never', `${UNNAMEABLE}: ${printable(Buffer.from(refused[0]))}`);
}
