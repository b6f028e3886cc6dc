import type { Entry, Known, Link } from '../../catalog/types.ts';
import { type Fid, ROOT_FID } from '../../identity/fid.ts';
import { forEachBounded } from '../../service/bounded.ts';
import { look, type VerifyContext } from './context.ts';
import type { FindingSink } from './doubts.ts';
import { verifyLacks } from './lacks.ts';
import type { Alive, Looked } from './look.ts';

const PAGE = 1_000;

/** Entries of the catalog, held against Lustre; and of what lives, that its blobs are there. */
export async function verifyEntries(context: VerifyContext): Promise<void> {
  for await (const fids of entriesOf(context)) {
    if (context.signal.aborted) return;
    await verifyFids(context, fids);
    context.tell();
  }
}

/** Names of the file system: what the catalog does not have is told, and its blobs are looked for, too. */
export async function verifyWalk(context: VerifyContext): Promise<void> {
  const { catalog, target, signal, tally, startScanner } = context;
  const scanner = await startScanner();
  try {
    for await (const { entries } of scanner.walk([target.directory])) {
      if (signal.aborted) return;
      tally.walked += entries.length;
      const fids = [...new Set(entries.map(({ fid }) => fid))];
      const known = await catalog.present(fids);
      await verifyUnknown(
        context,
        fids.filter((fid) => !known.has(fid)),
      );
      context.tell();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await scanner.close();
  }
}

async function* entriesOf({ catalog, target }: VerifyContext): AsyncGenerator<Fid[]> {
  if (target.directory === ROOT_FID) {
    for await (const page of catalog.entries()) yield page.map(({ fid }) => fid);
    return;
  }
  // Its own marker is not among the blobs below it.
  yield [target.directory];
  for await (const page of catalog.subtree(target.directory)) {
    for (let at = 0; at < page.length; at += PAGE) yield page.slice(at, at + PAGE).map(({ fid }) => fid);
  }
}

async function verifyFids(context: VerifyContext, fids: readonly Fid[]): Promise<void> {
  const { catalog, tally, parallel, signal } = context;
  const looked = await look(context, fids);
  const known = await catalog.known(fids);
  tally.entries += fids.length;
  const work = async (fid: Fid) => {
    const one = looked.get(fid);
    if (one === undefined || one === 'failed') return;
    if (!agrees(one, known.get(fid))) await confirmStale(context, fid);
    if (one !== 'dead') await verifyLacks(context, one, known.get(fid));
  };
  await forEachBounded(fids, work, { concurrency: parallel, signal });
}

async function verifyUnknown(context: VerifyContext, fids: readonly Fid[]): Promise<void> {
  const { catalog, findings } = context;
  if (fids.length === 0) return;
  for (const [fid, one] of await look(context, fids)) {
    if (one === 'dead' || one === 'failed' || (await catalog.present([fid])).has(fid)) continue;
    const again = (sink: FindingSink) => verifyUnknown({ ...context, findings: sink }, [fid]);
    await findings.add({ code: 'catalog-missing', fid, path: one.paths[0], remedy: 'follower' }, undefined, again);
    await verifyLacks(context, one, undefined);
  }
}

/** Both are read once more: the follower may have seen it meanwhile. */
async function confirmStale(context: VerifyContext, fid: Fid): Promise<void> {
  const { catalog, findings } = context;
  const [one, known] = [(await look(context, [fid])).get(fid), (await catalog.known([fid])).get(fid)];
  if (one === undefined || one === 'failed' || known?.entry === undefined || agrees(one, known)) return;
  const again = (sink: FindingSink) => confirmStale({ ...context, findings: sink }, fid);
  if (one === 'dead')
    await findings.add(
      { code: 'catalog-dead', fid, path: await pathIn(context, fid), remedy: 'follower' },
      undefined,
      again,
    );
  else
    await findings.add(
      {
        ...{ code: 'catalog-stale', fid, path: one.paths[0], remedy: 'follower' },
        detail: differing(one.entry, known.entry),
      },
      undefined,
      again,
    );
}

async function pathIn({ catalog }: VerifyContext, fid: Fid): Promise<Buffer | undefined> {
  const found = (await catalog.paths([fid])).get(fid)?.find((path) => path.ok);
  return found?.ok === true ? found.path : undefined;
}

/** What counts; times of access change without a word, and so do blocks. */
const FIELDS = ['type', 'mode', 'uid', 'gid', 'size', 'mtime', 'nlink', 'hsm', 'archive'] as const;

function differing(now: Entry, then: Entry): string {
  const fields = FIELDS.filter((field) => now[field] !== then[field]);
  return fields.length === 0 ? 'names' : fields.join(', ');
}

function agrees(one: Looked, known: Known | undefined): boolean {
  if (known?.entry === undefined) return true;
  if (one === 'dead' || one === 'failed') return false;
  const { entry } = known;
  if (FIELDS.some((field) => one.entry[field] !== entry[field])) return false;
  return one.entry.fid === ROOT_FID || sameNames(one, known.links);
}

/** By the last part of the paths: parents that were renamed have entries of their own. */
function sameNames({ paths }: Alive, links: readonly Link[]): boolean {
  const names = paths.map((path) => path.subarray(path.lastIndexOf(0x2f) + 1).toString('latin1')).sort();
  const others = links.map(({ name }) => name.toString('latin1')).sort();
  return names.length === others.length && names.every((name, index) => name === others[index]);
}
