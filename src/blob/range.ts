import type { IncomingMessage } from 'node:http';
import { BlobError, describeSubject, type RequestSubject } from './errors.ts';
import { type BlobWire, TruncatedError } from './wire.ts';

export interface RangeRequest {
  /** First byte. */
  readonly offset: number;
  /** Filled from its start to its end. */
  readonly into: Buffer;
  /** ETag of the version that is read. */
  readonly ifMatch: string;
  /** Length of the whole blob in bytes, which the answer must confirm. */
  readonly blobLength: bigint;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes as they arrive. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

export interface RangeResult {
  readonly etag: string;
}

/** Reads a range; an answer that breaks off is taken up again where it broke off, under the same ETag. */
export function readRange(
  wire: BlobWire,
  subject: RequestSubject,
  name: string,
  { offset, into, ifMatch, blobLength, signal, onBytes }: RangeRequest,
): Promise<RangeResult> {
  let filled = 0;
  return wire.send(
    {
      verb: subject.verb,
      method: 'GET',
      blob: name,
      headers: () => ({
        'if-match': ifMatch,
        // A range of an empty blob is refused with 416.
        ...(blobLength === 0n ? {} : { 'x-ms-range': `bytes=${offset + filled}-${offset + into.length - 1}` }),
      }),
      signal,
    },
    async (answer, body) => {
      const start = offset + filled;
      checkLength(subject, answer.headers['content-range'], answer.headers['content-length'], {
        start,
        into,
        offset,
        blobLength,
      });
      await fill(body, into, filled, (bytes) => {
        filled += bytes;
        onBytes?.(bytes);
      });
      if (filled < into.length) throw new TruncatedError(filled, into.length);
      return { etag: answer.headers.etag ?? ifMatch };
    },
  );
}

async function fill(
  body: IncomingMessage,
  into: Buffer,
  from: number,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let at = from;
  for await (const chunk of body) {
    const bytes = chunk as Buffer;
    if (at + bytes.length > into.length) throw new TruncatedError(at + bytes.length, into.length);
    at += bytes.copy(into, at);
    onBytes(bytes.length);
  }
}

function checkLength(
  subject: RequestSubject,
  contentRange: string | undefined,
  contentLength: string | undefined,
  asked: { start: number; offset: number; into: Buffer; blobLength: bigint },
): void {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '');
  const last = asked.offset + asked.into.length - 1;
  const fits =
    match === null
      ? asked.start === 0 &&
        BigInt(contentLength ?? -1) === asked.blobLength &&
        BigInt(asked.into.length) === asked.blobLength
      : Number(match[1]) === asked.start &&
        Number(match[2]) === last &&
        BigInt(match[3] as string) === asked.blobLength;
  if (fits) return;
  throw new BlobError(
    `${describeSubject(subject)}: expected bytes ${asked.start}-${last} of ${asked.blobLength}, the answer has ${contentRange ?? contentLength}`,
    { code: 'LENGTH' },
  );
}
