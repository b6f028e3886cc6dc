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

/** Everything committed in a container, with its content. What is only staged is not listed: nobody can read it. */
export async function seeContainer(container: ContainerClient, startsWith = ''): Promise<SeenBlob[]> {
  const seen: SeenBlob[] = [];
  for await (const item of container.listBlobsFlat({ includeMetadata: true, prefix: startsWith })) {
    const body = await container
      .getBlobClient(item.name)
      .downloadToBuffer(undefined, undefined, { conditions: { ifMatch: item.properties.etag } });
    const metadata = Object.fromEntries(
      Object.entries(item.metadata ?? {}).map(([key, value]) => [key.toLowerCase(), value]),
    );
    const path = item.name.startsWith('.lfsazsync/') ? undefined : unescaped(item.name);
    seen.push({ name: item.name, etag: item.properties.etag, body, metadata, path });
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
const TABLE = BigUint64Array.from({ length: 256 }, (_, byte) => {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ CRC64_NVME : crc >> 1n;
  return crc;
});

/** CRC-64/NVME by its definition, bit-reflected, 16 hexadecimal digits: slow, and nobody else's code. */
export function crc64(bytes: Uint8Array): string {
  let crc = 0xffff_ffff_ffff_ffffn;
  for (const byte of bytes) crc = (TABLE[Number((crc ^ BigInt(byte)) & 0xffn)] ?? 0n) ^ (crc >> 8n);
  return (crc ^ 0xffff_ffff_ffff_ffffn).toString(16).padStart(16, '0');
}
