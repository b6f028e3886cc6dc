import type { KnownBlob } from '../../catalog/types.ts';
import { type Fid, ROOT_FID } from '../../identity/fid.ts';
import { forEachBounded } from '../../service/bounded.ts';
import { subjectAt } from '../subject.ts';
import { look, type VerifyContext } from './context.ts';

interface Row {
  readonly fid: Fid;
  readonly blob: KnownBlob;
}

/**
 * Blobs that the catalog has and this run has not seen. Those at a name of a living file are told by who looks for what
 * the file lacks; of others the catalog is wrong.
 */
export async function verifyStaleBlobs(context: VerifyContext): Promise<void> {
  const { catalog, target, signal, parallel, since } = context;
  if (target.directory !== ROOT_FID) return;
  for await (const page of catalog.unverified(since)) {
    if (signal.aborted) return;
    await forEachBounded(page, (row) => verifyRow(context, row), { concurrency: parallel, signal });
    context.tell();
  }
}

async function verifyRow(context: VerifyContext, row: Row): Promise<void> {
  const {
    fid,
    blob: { archive, name },
  } = row;
  const { archives, catalog, findings, fsUuid, signal } = context;
  const store = archives.get(archive);
  if (store === undefined || !(await catalog.present([fid])).has(fid)) return;
  const found = await store.head(name, { signal });
  if (found !== undefined && (found.identity?.fs !== fsUuid || found.identity.fid === fid)) return;
  const one = (await look(context, [fid])).get(fid);
  if (one === undefined || one === 'failed' || one === 'dead') return;
  if (subjectAt(one.entry, one.paths, store.prefix).names.has(name)) return;
  const stale = { code: 'catalog-blob', fid, path: one.paths[0], archive, blob: name, remedy: 'follower' } as const;
  await findings.add(stale, undefined, (sink) => verifyRow({ ...context, findings: sink }, row));
}
