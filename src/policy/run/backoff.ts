import type { Failure } from '../../catalog/types.ts';
import type { Policy } from '../policies.ts';

/** The kind under which the catalog keeps a policy's failures. */
export const failureKind = (policy: string): string => `policy:${policy}`;

/** Until when a file is left alone that failed now and `before` times before, milliseconds since 1970. */
export function notBefore(backoff: Policy['backoff'], before: number, now: number): number {
  const wait = backoff.firstMs * 2 ** Math.min(before, 40);
  return now + Math.min(wait, backoff.longestMs);
}

/** Whether a file that failed is to be left alone now. */
export function restOf(
  backoff: Policy['backoff'],
  failure: Pick<Failure, 'count' | 'notBefore'> | undefined,
  now: number,
): 'none' | 'backoff' | 'quarantine' {
  if (failure === undefined) return 'none';
  if (failure.count >= backoff.quarantineAfter) return 'quarantine';
  return failure.notBefore > now ? 'backoff' : 'none';
}
