import { randomUUID } from 'node:crypto';
import { blockId, blockSizeFor } from './blocks.ts';
import type { BlobState } from './state.ts';
import type { BlobStore, PutOptions, Written } from './store.ts';

/**
 * Copies a version of a blob through this machine, block by block: for the few whose name is too long to be a copy's
 * source. Takes one block of memory. CONDITION when the source is another version now, or the destination is not as
 * asked for.
 */
export async function carryBlob(
  store: BlobStore,
  source: BlobState,
  name: string,
  options: Omit<PutOptions, 'held'>,
): Promise<Written> {
  const { signal } = options;
  const size = blockSizeFor(source.length);
  const attempt = { seq: 0, uuid: randomUUID() };
  const buffer = Buffer.allocUnsafe(Number(source.length < BigInt(size) ? source.length : BigInt(size)));
  const ids: string[] = [];
  for (let offset = 0n; offset < source.length; offset += BigInt(size)) {
    const left = source.length - offset;
    const bytes = left < BigInt(buffer.length) ? buffer.subarray(0, Number(left)) : buffer;
    const { length, etag } = source;
    await store.readRange(source.name, {
      ...{ offset: Number(offset), into: bytes, ifMatch: etag, blobLength: length, signal },
    });
    const id = blockId(attempt, ids.length);
    await store.putBlock(name, id, bytes, { crc64: store.crc64.of(bytes), signal });
    ids.push(id);
  }
  return ids.length === 0 ? store.put(name, Buffer.alloc(0), options) : store.commitBlocks(name, ids, options);
}
