import { BlobError, describeSubject, isBlobError } from './errors.ts';
import type { BlobState } from './state.ts';
import type { BlobStore } from './store.ts';

/** Whether the blob's content can be read now. */
export function isReadable(state: BlobState): boolean {
  return state.accessTier !== 'Archive';
}

/**
 * Brings a blob back from the Archive tier, as far as the archive's configuration wants it. Resolves with `readable`
 * when there is nothing to wait for, `pending` when it is on its way (which takes hours: look again now and then).
 * @throws BlobError ARCHIVED when the configuration says not to
 */
export async function requestRehydration(
  store: BlobStore,
  state: BlobState,
  signal?: AbortSignal,
): Promise<'readable' | 'pending'> {
  if (isReadable(state)) return 'readable';
  if (state.archiveStatus?.startsWith('rehydrate-pending') === true) return 'pending';
  if (store.rehydrate === 'none') {
    const subject = describeSubject({
      verb: 'read',
      account: store.account,
      container: store.container,
      blob: state.name,
    });
    throw new BlobError(`${subject}: it is in the Archive tier`, {
      code: 'ARCHIVED',
      hint: 'Set `rehydrate` to Standard or High for this archive, or change the tier of the blob to Hot, Cool or Cold.',
    });
  }
  try {
    await store.setTier(state.name, store.accessTier ?? 'Hot', { priority: store.rehydrate, signal });
  } catch (error) {
    // Asked for already: by an earlier try of ours whose answer was lost, or by somebody else.
    if (!isBlobError(error, 'ARCHIVED')) throw error;
  }
  return 'pending';
}
