import { requireControl } from './control.ts';
import { BlobStore, type StoreConfig } from './store.ts';

/**
 * Opens the containers of a file system, for a command: each must be there, and belong to it.
 * @throws OperatorError, BlobError: what is wrong with one; none stays open then
 */
export async function openOwnStores(
  archives: ReadonlyMap<number, StoreConfig>,
  uuid: string,
  signal: AbortSignal,
): Promise<Map<number, BlobStore>> {
  const stores = new Map<number, BlobStore>();
  try {
    for (const [id, archive] of archives) {
      const store = await BlobStore.open(archive, { signal });
      stores.set(id, store);
      await requireControl(store, uuid, signal);
    }
    return stores;
  } catch (error) {
    for (const store of stores.values()) store.close();
    throw error;
  }
}
