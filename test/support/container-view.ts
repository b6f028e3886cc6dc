import type { ContainerClient } from '@azure/storage-blob';

/** A blob with all that the format in docs/blob-format.md says of it, read without any of the product's code. */
export interface SeenBlob {
  readonly name: string;
  readonly etag: string;
  readonly body: Buffer;
  /** Keys in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The path that the name stands for, relative to the mount's root; undefined in our own directory. */
  readonly path: string | undefined;
}

/** A blob as a listing shows it. */
export type ListedBlob = Omit<SeenBlob, 'body' | 'path'>;

/** Everything committed in a container. What is only staged is not listed: nobody can read it. */
export async function listContainer(container: ContainerClient, startsWith = ''): Promise<ListedBlob[]> {
  const listed: ListedBlob[] = [];
  for await (const { name, properties, metadata = {} } of container.listBlobsFlat({
    includeMetadata: true,
    prefix: startsWith,
  })) {
    const keys = Object.entries(metadata).map(([key, value]) => [key.toLowerCase(), value]);
    listed.push({ name, etag: properties.etag, metadata: Object.fromEntries(keys) as ListedBlob['metadata'] });
  }
  return listed;
}

/** The content of the version that was listed. */
export function bodyOf(container: ContainerClient, { name, etag }: ListedBlob): Promise<Buffer> {
  return container
    .getBlobClient(name)
    .downloadToBuffer(undefined, undefined, { conditions: { ifMatch: etag }, maxRetryRequestsPerBlock: 3 });
}

/** Everything committed in a container, with its content. */
export async function seeContainer(container: ContainerClient, startsWith = ''): Promise<SeenBlob[]> {
  const seen: SeenBlob[] = [];
  for (const listed of await listContainer(container, startsWith)) {
    const path = listed.name.startsWith('.lfsazsync/') ? undefined : unescaped(listed.name);
    seen.push({ ...listed, path, body: await bodyOf(container, listed) });
  }
  return seen;
}

/** The rule of docs/blob-format.md backwards, for the names that tests use: `%` and two upper-case digits are a byte. */
function unescaped(name: string): string {
  const bytes = Buffer.from(name, 'utf8').toString('latin1');
  const plain = bytes.replace(/%([0-9A-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(plain, 'latin1').toString('utf8');
}

const CRC64_NVME = 0x9a6c9329ac4bc9b5n;
const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ CRC64_NVME : crc >> 1n;
  return crc;
});
const HIGH = Uint32Array.from(TABLE, (crc) => Number(crc >> 32n));
const LOW = Uint32Array.from(TABLE, (crc) => Number(crc & 0xffff_ffffn));

/** CRC-64/NVME by its definition, bit-reflected, 16 hexadecimal digits: byte by byte, in two halves, and nobody else's code. */
export function crc64(bytes: Uint8Array): string {
  let [high, low] = [0xffff_ffff, 0xffff_ffff];
  for (const byte of bytes) {
    const at = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (LOW[at] as number);
    high = (high >>> 8) ^ (HIGH[at] as number);
  }
  return [~high, ~low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}
