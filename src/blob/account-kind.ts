import { OperatorError } from '../service/errors.ts';
import { isBlobError } from './errors.ts';
import { reservedName } from './naming.ts';
import type { BlobStore } from './store.ts';

/**
 * Whether the account has a hierarchical namespace. Identities may not ask for it, whatever their role; then the control
 * blob shows it. Undefined as long as there is none.
 * https://learn.microsoft.com/rest/api/storageservices/get-account-information
 */
export async function hasHierarchy(store: BlobStore, signal?: AbortSignal): Promise<boolean | undefined> {
  try {
    const said = await store.hasHierarchicalNamespace(signal);
    if (said !== undefined) return said;
  } catch (error) {
    if (!isBlobError(error, 'AUTH', 'INVALID', 'NOT_FOUND')) throw error;
  }
  return await shownByControl(store, signal);
}

/** @throws OperatorError ACCOUNT_HIERARCHICAL when the control blob, which must be there, shows that the account is of that kind */
export async function mustBeFlat(store: BlobStore, signal?: AbortSignal): Promise<void> {
  if ((await shownByControl(store, signal)) === true) throw hierarchical(store);
}

export function hierarchical({ account }: Pick<BlobStore, 'account'>): OperatorError {
  return new OperatorError(`account ${account} has a hierarchical namespace (Data Lake Storage Gen2)`, {
    code: 'ACCOUNT_HIERARCHICAL',
    hint: 'Use an account without one: with it, directories are objects of their own, and blobs can be moved behind our back.',
  });
}

function shownByControl(store: BlobStore, signal: AbortSignal | undefined): Promise<boolean | undefined> {
  return store.isInHierarchy(reservedName(store.prefix, 'control'), signal);
}
