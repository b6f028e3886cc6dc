import { isBlobError } from '../blob/errors.ts';
import { bringBack, type KeptBlob } from '../blob/kept.ts';
import { metadataOf } from '../blob/metadata.ts';
import type { BlobState } from '../blob/state.ts';
import { readXattrs } from '../blob/xattrs.ts';
import type { Tombstone } from '../catalog/types.ts';
import { restoreXattrs } from '../copies/restore-xattrs.ts';
import { holdName } from '../follow/reconcile/holds.ts';
import { lookAt } from '../follow/reconcile/look.ts';
import type { BlobIdentity } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import { bindingRecordParts, formatBinding, isBinding, parseFileRecord } from '../identity/file-record.ts';
import { formatGeneration } from '../identity/generation.ts';
import { errnoText } from '../lustre/errno.ts';
import type { Made, MakeItem } from '../lustre/importer.ts';
import { printable } from '../lustre/printable.ts';
import { type Directories, LAYOUT, lookUp, split } from './directories.ts';
import type { FileRemains } from './remains.ts';
import { RECALLED, type UndeleteContext, type Undeleted } from './types.ts';

type Result = Pick<Undeleted, 'outcome' | 'now' | 'detail'>;

/** Tries of stamping a blob that others change meanwhile. */
const TRIES = 5;

/**
 * Brings a file back as a released one, bound to the blob, and makes the blob its own.
 *
 * The hold is durable before the blob is touched, and touching changes its ETag: a removal that was decided on before
 * fails, and a later one sees the hold. The new file is bound to the dead one's version; only then the blob is made its
 * copy, under the ETag. If that fails because the blob is gone after all, the file goes again.
 */
export async function reviveFile(
  context: UndeleteContext,
  directories: Directories,
  stone: Tombstone,
  remains: FileRemains,
): Promise<Result> {
  if (remains.successor !== undefined) return await conclude(context, stone, remains, remains.successor);
  const [path, ...links] = remains.paths;
  if (path === undefined) return { outcome: 'failed', detail: 'nobody knows its name' };
  const { parent: above, name } = split(path);
  const parent = await directories.ensure(above);
  if ('problem' in parent) return { outcome: 'failed', detail: parent.problem };
  // Nothing is brought back in the container for nothing.
  if (remains.kept !== undefined && (await lookUp(context, parent.fid, name)) !== undefined)
    return { outcome: 'exists', detail: 'something has its name' };
  await context.catalog.apply({ checkpoints: [{ name: holdName(stone.fid), state: {} }] });
  await context.step('held');
  const blob = remains.kept === undefined ? remains.blob : await recall(context, stone, remains, remains.kept);
  if (blob === undefined)
    return await letGo(context, stone, { outcome: 'gone', detail: 'what was kept of its blob went meanwhile' });
  const touched = remains.own ? await touch(context, { ...remains, blob }) : blob;
  if (touched === undefined) return await letGo(context, stone, { outcome: 'gone', detail: 'its blob went meanwhile' });
  await context.step('touched');
  const made = madeOf(await make(context, parent.fid, { ...remains, blob: touched }, name), remains);
  if ('outcome' in made) return await letGo(context, stone, made);
  await context.step('made');
  if (remains.own && !(await stamp(context, remains, made.fid))) {
    const [errno = 0] = await context.importer.remove([{ parent: parent.fid, name, fid: made.fid, clean: true }]);
    const left = errno === 0 ? '' : `; ${printable(path)} could not be removed again: ${errnoText(errno)}`;
    return await letGo(context, stone, { outcome: 'gone', detail: `its blob went meanwhile${left}` });
  }
  await context.step('stamped');
  const { files } = context.fs;
  const text = files.keepsXattrs ? readXattrs(touched.metadata) : undefined;
  const refused = text === undefined ? undefined : await restoreXattrs(files, made.fid, text, { over: false });
  const missing = await linkAll(context, directories, links, made.fid);
  await finish(context, stone, remains, made.fid);
  await context.step('done');
  const detail = [remains.note, missing, refused].filter((one) => one !== undefined).join('; ');
  return { outcome: 'restored', now: made.fid, ...(detail === '' ? {} : { detail }) };
}

/** Makes what the account keeps the blob again. Undefined: it is gone, or its name is another's by now. */
async function recall(
  { fsUuid, log, signal, step }: UndeleteContext,
  stone: Tombstone,
  { store }: FileRemains,
  kept: KeptBlob,
): Promise<BlobState | undefined> {
  const { how, version, state } = kept;
  try {
    const blob = await bringBack(store, kept, signal);
    const { identity } = blob ?? {};
    const isIt = identity?.fs === fsUuid && identity.kind === 'file' && identity.fid === stone.fid;
    if (blob === undefined || !isIt || blob.length !== state.length) return undefined;
    log.info('deleted blob brought back', { blob: state.name, container: store.container, how, version });
    await step(RECALLED);
    return blob;
  } catch (error) {
    if (isBlobError(error, 'CONDITION', 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Changes the blob's ETag and nothing else. Undefined: it is gone, or another's by now. */
async function touch({ signal }: UndeleteContext, { store, blob }: FileRemains): Promise<BlobState | undefined> {
  try {
    const { etag } = await store.setMetadata(blob.name, {}, { ifMatch: blob.etag, signal });
    return { ...blob, etag };
  } catch (error) {
    if (isBlobError(error, 'CONDITION', 'NOT_FOUND')) return undefined;
    throw error;
  }
}

async function make(
  { importer }: UndeleteContext,
  parent: Fid,
  { blob, bind, attributes, archive }: FileRemains,
  name: Buffer,
): Promise<Made | undefined> {
  const record = bindingRecordParts({
    ...{ size: blob.length, bind, at: blob.name },
    ...(blob.length === 0n ? {} : { layout: 'directory' as const }),
  });
  const item: MakeItem =
    blob.length === 0n
      ? { kind: 'empty', name, record, ...attributes }
      : { kind: 'file', name, size: blob.length, record, ...attributes };
  return (await importer.make(new Map([[parent, [item]]]), { ...LAYOUT, archive })).get(parent)?.[0];
}

/** The file that was made, now or by an earlier run that did not come to its end. */
function madeOf(made: Made | undefined, { bind }: FileRemains): { readonly fid: Fid } | Result {
  if (made === undefined) return { outcome: 'failed', detail: 'it could not be made' };
  if ('made' in made) return { fid: made.made };
  if ('errno' in made) return { outcome: 'failed', detail: `it could not be made: ${errnoText(made.errno)}` };
  const record = made.there?.record == null ? undefined : parseFileRecord(made.there.record);
  const same = record !== undefined && isBinding(record) && formatBinding(record.bind) === formatBinding(bind);
  if (same && made.there !== undefined && record.fid === made.there.fid) return { fid: made.there.fid };
  return { outcome: 'exists', detail: 'something has its name' };
}

/** Makes the blob the new file's copy. False: it is gone, or another's. */
async function stamp(context: UndeleteContext, remains: FileRemains, fid: Fid): Promise<boolean> {
  const { store, bind, attributes } = remains;
  const { fsUuid, signal } = context;
  for (let tries = 0; tries < TRIES; tries++) {
    const blob = await store.head(remains.blob.name, { signal });
    const { identity } = blob ?? {};
    if (blob === undefined || identity?.fs !== fsUuid || identity.kind !== 'file') return false;
    if (identity.fid === fid) return true;
    if (!('fid' in bind) || identity.fid !== bind.fid) return false;
    const stamped: BlobIdentity = { ...identity, fid, from: formatBinding(bind) };
    const mtime = BigInt(attributes.mtime) * 1_000_000_000n;
    const metadata = metadataOf({ identity: stamped, attributes: { ...attributes, mtime } });
    try {
      await store.setMetadata(blob.name, metadata, { ifMatch: blob.etag, signal });
      return true;
    } catch (error) {
      if (!isBlobError(error, 'CONDITION', 'NOT_FOUND')) throw error;
    }
  }
  return false;
}

/** Its further names. @returns which could not be made, in words */
async function linkAll(
  context: UndeleteContext,
  directories: Directories,
  paths: readonly Buffer[],
  of: Fid,
): Promise<string | undefined> {
  const failed: string[] = [];
  for (const path of paths) {
    const { parent: above, name } = split(path);
    const parent = await directories.ensure(above);
    const made =
      'problem' in parent
        ? undefined
        : (await context.importer.make(new Map([[parent.fid, [{ kind: 'link', name, of }]]]), LAYOUT)).get(
            parent.fid,
          )?.[0];
    const there = made !== undefined && 'there' in made ? made.there?.fid : undefined;
    if (made === undefined || (!('made' in made) && there !== of)) failed.push(printable(path));
  }
  return failed.length === 0 ? undefined : `without its further names ${failed.join(', ')}`;
}

async function finish(
  { catalog }: UndeleteContext,
  stone: Tombstone,
  { archive, blob, bind, own }: FileRemains,
  fid: Fid,
): Promise<void> {
  const { generation, crc64 } = blob.identity ?? {};
  const version = generation === undefined ? undefined : formatGeneration(generation);
  const known = { archive, name: blob.name, kind: 'file', size: blob.length, generation: version, crc64 } as const;
  await catalog.apply({
    exhumed: [stone.fid],
    checkpointsGone: [holdName(stone.fid)],
    bindings: [{ fid, archive, name: blob.name, bind: formatBinding(bind), size: blob.length }],
    bindingsGone: [stone.fid],
    ...(own ? { blobs: [{ fid, blob: known }] } : {}),
    marks: [{ fid, hints: 0, since: Math.floor(Date.now() / 1000) }],
  });
}

/** Somebody was killed after the blob was the new file's: what is left is to say so in the catalog. */
async function conclude(
  context: UndeleteContext,
  stone: Tombstone,
  remains: FileRemains,
  successor: Fid,
): Promise<Result> {
  const alive = (await lookAt(context, successor)) !== 'dead';
  await finish(context, stone, remains, successor);
  return alive
    ? { outcome: 'restored', now: successor }
    : { outcome: 'gone', detail: `it was brought back as ${successor}, and removed again` };
}

/** Nothing came of it: the dead are the reaper's again. */
async function letGo({ catalog }: UndeleteContext, stone: Tombstone, result: Result): Promise<Result> {
  await catalog.apply({ checkpointsGone: [holdName(stone.fid)] });
  return result;
}
