import { type BodyTarget, TruncatedError } from '../http/answer-reader.ts';
import { BlobError, describeSubject, type RequestSubject } from './errors.ts';
import type { PlainHeaders } from './request-headers.ts';
import type { BlobWire } from './wire.ts';

export interface RangeRequest {
  /** First byte. */
  readonly offset: number;
  /** Filled from its start to its end. */
  readonly into: Buffer;
  /** ETag of the version that is read. */
  readonly ifMatch: string;
  /** Length of the whole blob in bytes, which the answer must confirm. */
  readonly blobLength: bigint;
  /** False within `BlobStore.hold`. */
  readonly held?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RangeResult {
  readonly etag: string;
}

/** Reads a range; an answer that breaks off is taken up again where it broke off, under the same ETag. */
export function readRange(
  wire: BlobWire,
  subject: RequestSubject,
  name: string,
  { offset, into, ifMatch, blobLength, held, signal }: RangeRequest,
): Promise<RangeResult> {
  const target: BodyTarget = { buffer: into, filled: 0 };
  return wire.run({ verb: subject.verb, blob: name, held, signal }, async (clients) => {
    // All is there, and yet the answer did not end well: nothing is left to ask for.
    if (target.filled === into.length) target.filled = 0;
    const start = offset + target.filled;
    const last = offset + into.length - 1;
    const asked = { start, last, blobLength };
    const headers = await clients.hot.getRange(
      name,
      {
        ifMatch,
        // A range of an empty blob is refused with 416.
        range: blobLength === 0n ? undefined : [start, last],
        target: (answered) => {
          checkLength(subject, answered, asked);
          return target;
        },
      },
      signal,
    );
    if (target.filled !== into.length) throw new TruncatedError(target.filled, into.length);
    return { etag: headers.get('etag') ?? ifMatch };
  });
}

/** @throws BlobError LENGTH when the answer has other bytes than those that were asked for */
function checkLength(
  subject: RequestSubject,
  headers: PlainHeaders,
  { start, last, blobLength }: { start: number; last: number; blobLength: bigint },
): void {
  const said = headers.get('content-range');
  const length = headers.get('content-length');
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(said ?? '');
  const fits =
    match === null
      ? start === 0 && BigInt(last + 1) === blobLength && (length === undefined || BigInt(length) === blobLength)
      : Number(match[1]) === start && Number(match[2]) === last && BigInt(match[3] as string) === blobLength;
  if (fits) return;
  throw new BlobError(
    `${describeSubject(subject)}: expected bytes ${start}-${last} of ${blobLength}, the answer has ${said ?? length}`,
    { code: 'LENGTH' },
  );
}
