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
export async function enterClaim(store: BlobStore, claim: Claim, signal?: AbortSignal): Promise<Claim | undefined> {
  for (;;) {
    const found = await readSmallBlob(store, CLAIMS_NAME, MAX_CLAIMS_BYTES, signal);
    const claims = found === undefined ? [] : parse(store, found);
    const foreign = claims.find(({ fs, prefix }) => fs !== claim.fs && overlap(prefix, claim.prefix));
    if (foreign !== undefined) return foreign;
    if (claims.some(({ prefix }) => prefix === claim.prefix)) return undefined;
    const body = Buffer.from(`${JSON.stringify({ version: 1, claims: [...claims, claim] })}\n`);
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
