import { percentDecode } from './metadata.ts';
import type { ReadBlob, Refused } from './reading-types.ts';

/** What Linux takes for a link's target: PATH_MAX without its NUL. */
const MAX_TARGET_BYTES = 4095;

/**
 * A symlink's target is its blob's body. We repeat it in the metadata, percent-encoded, which saves a request; the
 * follower that lfsazsync replaces wrote it there only, as it was, and left the body empty.
 */
export function readTarget(
  { length, identity }: ReadBlob,
  keys: ReadonlyMap<string, string>,
): { readonly kind: 'symlink'; readonly target?: Buffer } | Refused {
  if (length > MAX_TARGET_BYTES) {
    const detail = `its target has ${length} bytes; a file system takes ${MAX_TARGET_BYTES}`;
    return { kind: 'refused', reason: 'target-too-long', detail };
  }
  const told = keys.get('symlink');
  const target = told === undefined ? undefined : identity === undefined ? Buffer.from(told) : percentDecode(told);
  if (length === 0n) return target === undefined || target.length === 0 ? missing() : checked(target);
  return identity !== undefined && target?.length === Number(length) ? checked(target) : { kind: 'symlink' };
}

function checked(target: Buffer): ReturnType<typeof readTarget> {
  if (target.length > MAX_TARGET_BYTES) {
    return { kind: 'refused', reason: 'target-too-long', detail: `its target has ${target.length} bytes` };
  }
  if (target.includes(0)) return { kind: 'refused', reason: 'target-invalid', detail: 'its target holds a NUL' };
  return { kind: 'symlink', target };
}

function missing(): Refused {
  return { kind: 'refused', reason: 'target-missing', detail: 'it is a symlink without a target' };
}
