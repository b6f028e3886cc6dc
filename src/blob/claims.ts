import * as z from 'zod';
import { OperatorError } from '../service/errors.ts';
import { isBlobError } from './errors.ts';
import { reservedName } from './naming.ts';
import { readSmallBlob } from './small-blob.ts';
import type { BlobStore } from './store.ts';

/** That everything below a prefix belongs to a file system. */
export interface Claim {
  readonly prefix: string;
  /** UUID of the file system. */
  readonly fs: string;
}

/**
 * All claims of a container, in one blob at its root. Control blobs alone can't tell whether there is one below a
 * prefix: to find out would be to list everything. And one blob, changed under its ETag, decides between two who claim
 * at the same time.
 */
export const CLAIMS_NAME = reservedName('', 'claims');

const schema = z.object({
  version: z.literal(1),
  claims: z.array(z.object({ prefix: z.string(), fs: z.string() })),
});

// Some hundred bytes a claim.
const MAX_CLAIMS_BYTES = 1 << 20;

/**
 * Enters a claim; does nothing when it is there already. Resolves with another file system's claim that is above, at
 * or below it, and then enters nothing.
 * @throws OperatorError CLAIMS_UNREADABLE
 */
export function enterClaim(store: BlobStore, claim: Claim, signal?: AbortSignal): Promise<Claim | undefined> {
  return change(store, claim, (claims) => (has(claims, claim) ? claims : [...claims, claim]), signal);
}

/**
 * Gives all that one file system has claimed in the container to the one of the claim, which is entered in its place.
 * Resolves with a third one's claim that is in the way, and then changes nothing.
 * @throws OperatorError CLAIMS_UNREADABLE
 */
export function inheritClaims(
  store: BlobStore,
  from: string,
  claim: Claim,
  signal?: AbortSignal,
): Promise<Claim | undefined> {
  const inherited = (claims: readonly Claim[]) => {
    const renamed = claims.map(({ prefix, fs }) => ({ prefix, fs: fs === from ? claim.fs : fs }));
    return has(renamed, claim) ? renamed : [...renamed, claim];
  };
  return change(store, claim, inherited, signal);
}

/**
 * Another file system's claim that is above, at or below a prefix. @param fs whose claims are no obstacle
 * @throws OperatorError CLAIMS_UNREADABLE
 */
export async function foreignClaim(
  store: BlobStore,
  { prefix, fs }: { readonly prefix: string; readonly fs: string | undefined },
  signal?: AbortSignal,
): Promise<Claim | undefined> {
  const found = await readSmallBlob(store, CLAIMS_NAME, MAX_CLAIMS_BYTES, signal);
  return found === undefined ? undefined : foreignTo(parse(store, found), prefix, fs);
}

/** Changes the claims under their ETag, again and again until nobody comes in between; what stays the same is not written. */
async function change(
  store: BlobStore,
  claim: Claim,
  next: (claims: readonly Claim[]) => readonly Claim[],
  signal: AbortSignal | undefined,
): Promise<Claim | undefined> {
  for (;;) {
    const found = await readSmallBlob(store, CLAIMS_NAME, MAX_CLAIMS_BYTES, signal);
    const before = found === undefined ? [] : parse(store, found);
    const claims = next(before);
    const foreign = foreignTo(claims, claim.prefix, claim.fs);
    if (foreign !== undefined) return foreign;
    if (JSON.stringify(claims) === JSON.stringify(before)) return undefined;
    const body = Buffer.from(`${JSON.stringify({ version: 1, claims })}\n`);
    const condition =
      found === undefined || found === 'too large' ? ({ ifNoneMatch: '*' } as const) : { ifMatch: found.etag };
    try {
      await store.put(CLAIMS_NAME, body, { condition, metadata: {}, signal });
      return undefined;
    } catch (error) {
      // Somebody else was faster, or we were and did not hear of it: look again.
      if (!isBlobError(error, 'CONDITION')) throw error;
    }
  }
}

function has(claims: readonly Claim[], { prefix, fs }: Claim): boolean {
  return claims.some((claim) => claim.prefix === prefix && claim.fs === fs);
}

function foreignTo(claims: readonly Claim[], prefix: string, fs: string | undefined): Claim | undefined {
  return claims.find((claim) => claim.fs !== fs && overlap(claim.prefix, prefix));
}

/** Whether one of the prefixes is the other, or lies below it. */
function overlap(a: string, b: string): boolean {
  const within = (inner: string, outer: string) => outer === '' || inner === outer || inner.startsWith(`${outer}/`);
  return within(a, b) || within(b, a);
}

function parse(store: BlobStore, found: { readonly bytes: Buffer } | 'too large'): readonly Claim[] {
  try {
    if (found !== 'too large') return schema.parse(JSON.parse(found.bytes.toString('utf8'))).claims;
  } catch {
    // Told below.
  }
  throw new OperatorError(
    `the blob ${CLAIMS_NAME} in container ${store.container} of account ${store.account} does not say who has which prefix`,
    {
      code: 'CLAIMS_UNREADABLE',
      hint: 'Find out who wrote it: a newer lfsazsync, or none at all. Without it, two file systems could take the same names.',
    },
  );
}
