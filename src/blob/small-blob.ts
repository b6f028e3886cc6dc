import { isBlobError } from './errors.ts';
import type { BlobStore } from './store.ts';

/**
 * The whole of a small blob and the version that it is, or undefined when there is none; `too large` without reading
 * it when it has more than `limit` bytes.
 */
export async function readSmallBlob(
  store: BlobStore,
  name: string,
  limit: number,
  signal?: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly etag: string } | 'too large' | undefined> {
  for (;;) {
    const state = await store.head(name, { signal });
    if (state === undefined) return undefined;
    if (state.length > limit) return 'too large';
    const bytes = Buffer.alloc(Number(state.length));
    try {
      await store.readRange(name, { offset: 0, into: bytes, ifMatch: state.etag, blobLength: state.length, signal });
      return { bytes, etag: state.etag };
    } catch (error) {
      // Another version now, or none: look again.
      if (!isBlobError(error, 'CONDITION', 'NOT_FOUND')) throw error;
    }
  }
}
