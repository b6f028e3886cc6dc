import type { BlobState } from '../blob/state.ts';
import type { KnownBinding } from '../catalog/types.ts';
import { formatGeneration } from '../identity/generation.ts';

/** A blob, as far as it shows whether it is the one that a file was imported from. */
export type ImportedFrom = Pick<BlobState, 'etag' | 'length' | 'identity'>;

/** Whether a blob that others wrote is still the one that a file was bound to. */
export function isBound({ bind, size }: KnownBinding, { etag, length, identity }: ImportedFrom): boolean {
  if (length !== size) return false;
  if (bind.startsWith('etag:')) return unquoted(bind.slice(5)) === unquoted(etag);
  if (identity?.generation === undefined) return false;
  return bind === `${identity.fs}/${identity.fid}/${formatGeneration(identity.generation)}`;
}

const unquoted = (etag: string) => etag.replaceAll('"', '');
