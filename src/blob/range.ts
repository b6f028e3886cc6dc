import type { BlobDownloadResponseParsed } from '@azure/storage-blob';
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

type Body = NonNullable<BlobDownloadResponseParsed['readableStreamBody']>;

/** Reads a range; an answer that breaks off is taken up again where it broke off, under the same ETag. */
export function readRange(
  wire: BlobWire,
  subject: RequestSubject,
  name: string,
  { offset, into, ifMatch, blobLength, signal, onBytes }: RangeRequest,
): Promise<RangeResult> {
  let filled = 0;
  return wire.run({ verb: subject.verb, blob: name, signal }, async (clients) => {
    const start = offset + filled;
    // A range of an empty blob is refused with 416.
    const count = blobLength === 0n ? undefined : into.length - filled;
    const answer = await clients.blob(name).download(start, count, {
      conditions: { ifMatch },
      // Taken up again here, with our own retries.
      maxRetryRequests: 0,
      ...(signal === undefined ? {} : { abortSignal: signal }),
    });
    const body = answer.readableStreamBody as Body;
    try {
      checkLength(subject, answer, { start, into, offset, blobLength });
    } catch (error) {
      destroy(body);
      throw error;
    }
    await fill(body, into, filled, (bytes) => {
      filled += bytes;
      onBytes?.(bytes);
    });
    return { etag: answer.etag ?? ifMatch };
  });
}

/**
 * Copies chunks as they come: iterating over the stream would join them first. Rejects with TruncatedError when it ends
 * before the buffer does, for whatever reason, which the SDK's stream hides.
 */
function fill(body: Body, into: Buffer, from: number, onBytes: (bytes: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let at = from;
    const truncated = () => reject(new TruncatedError(at, into.length));
    body.on('data', (bytes: Buffer) => {
      try {
        if (at + bytes.length > into.length) throw new TruncatedError(at + bytes.length, into.length);
        at += bytes.copy(into, at);
        onBytes(bytes.length);
      } catch (error) {
        destroy(body);
        reject(error);
      }
    });
    body.on('end', () => (at === into.length ? resolve() : truncated()));
    body.on('error', truncated);
    body.on('close', truncated);
  });
}

/** Ends the connection: nobody is going to read the rest. */
function destroy(body: Body): void {
  (body as Body & { destroy(): void }).destroy();
}

function checkLength(
  subject: RequestSubject,
  { contentRange, contentLength }: BlobDownloadResponseParsed,
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
