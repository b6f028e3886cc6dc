import { isBlobError } from '../../blob/errors.ts';
import type { BlobState } from '../../blob/state.ts';
import type { BlobKind } from '../../identity/blob-identity.ts';
import type { Fid } from '../../identity/fid.ts';
import { formatGeneration } from '../../identity/generation.ts';
import type { Place, ReconcileContext } from './context.ts';
import { ReconcileError } from './errors.ts';
import { mustBeOurs } from './look.ts';

/**
 * Deletes the blob at a name if it is one of this object's that may go: UUID, FID and kind are checked, `mayGo` is asked
 * about the very version that is then deleted, and the audit log has it before. The catalog forgets the name when
 * nothing of this object is there.
 * @param options.isKnown whether the catalog has this name
 * @returns whether nothing of this object is there any more
 */
export async function deleteOld(
  context: ReconcileContext,
  { archive, store }: Place,
  name: string,
  expected: { readonly fid: Fid; readonly kinds: readonly BlobKind[] },
  reason: string,
  {
    mayGo = () => Promise.resolve(true),
    isKnown = true,
  }: { readonly mayGo?: (blob: BlobState) => Promise<boolean>; readonly isKnown?: boolean } = {},
): Promise<boolean> {
  const { signal, fsUuid } = context;
  const blob = await store.head(name, { signal });
  const { identity } = blob ?? {};
  if (blob !== undefined && identity?.fs === fsUuid && identity.fid === expected.fid) {
    if (!expected.kinds.includes(identity.kind) || !(await mayGo(blob))) return false;
    await context.step('old.examined');
    await context.audit.record({
      ...{ action: 'delete', archive, blob: name, etag: blob.etag, fs: identity.fs, fid: identity.fid, reason },
      generation: identity.generation === undefined ? undefined : formatGeneration(identity.generation),
    });
    await mustBeOurs(context);
    signal.throwIfAborted();
    try {
      await store.delete(name, { ifMatch: blob.etag, signal });
    } catch (error) {
      if (!isBlobError(error, 'CONDITION')) throw error;
      throw new ReconcileError('busy', 'soon', `${JSON.stringify(name)} changed while it was to be deleted`);
    }
    await context.step(identity.kind === 'file' ? 'old.deleted' : 'marker.deleted');
  }
  if (!isKnown) return true;
  await context.catalog.apply({ blobsGone: [{ fid: expected.fid, archive, name }] });
  await context.step('old.forgotten');
  return true;
}
