import type { StorageCRC64Calculator } from '@azure/storage-common';
import { loadAddon } from '../service/native-addon.ts';
import { combineCrc64 } from './crc64-combine.ts';

/**
 * CRC-64/NVME, which Azure Storage calls CRC64: reflected polynomial 0x9A6C9329AC4BC9B5, all bits inverted before and
 * after. The check value of `123456789` is ae8b14860a799888.
 */
export interface Crc64 {
  /** Which implementation is at work: the native addon, or the SDK's WebAssembly as the last resort. */
  readonly implementation: 'native' | 'wasm';
  /** The CRC of `bytes`. */
  of(bytes: Uint8Array): bigint;
  /** The CRC of A followed by B, from both CRCs and the length of B in bytes. */
  combine(a: bigint, b: bigint, lengthOfB: bigint): bigint;
}

/** The CRC of no bytes. */
export const EMPTY_CRC64 = 0n;

/** What the native addon has; native-helpers/crc64/. */
export interface Addon {
  crc64(bytes: Uint8Array, seed: bigint): bigint;
  combine(a: bigint, b: bigint, lengthOfB: bigint): bigint;
  readBlock(fd: number, offset: number, into: Uint8Array): Promise<BlockResult>;
  readFile(path: string, into: Uint8Array): Promise<BlockResult>;
  writeBlock(fd: number, offset: number, from: Uint8Array): Promise<BlockResult>;
  writeFile(path: string, from: Uint8Array, truncate: boolean): Promise<BlockResult>;
}

/** What became of a block of a file. */
export interface BlockResult {
  /** Positive; 0: it went well. */
  readonly errno: number;
  /** The system call that failed. */
  readonly what?: string;
  readonly bytes: number;
  /** Of these bytes. */
  readonly crc64: bigint;
}

const CHECK_INPUT = Buffer.from('123456789');
const CHECK_VALUE = 0xae8b14860a799888n;

let loading: Promise<Crc64> | undefined;

/** The fastest implementation that works here, checked against a known value. Loaded once. */
export function loadCrc64(): Promise<Crc64> {
  loading ??= Promise.resolve(nativeCrc64() ?? wasmCrc64());
  return loading;
}

/** The checksum of the native addon; undefined where that can't be used. */
export function nativeCrc64(): Crc64 | undefined {
  const addon = nativeAddon();
  if (addon === undefined) return undefined;
  return {
    implementation: 'native',
    of: (bytes) => addon.crc64(bytes, EMPTY_CRC64),
    combine: (a, b, lengthOfB) => addon.combine(a, b, lengthOfB),
  };
}

/** The native addon; undefined when it is not built for this machine or does not compute what it should. */
export function nativeAddon(): Addon | undefined {
  return loadAddon<Addon>('crc64.node', (addon) => addon.crc64(CHECK_INPUT, EMPTY_CRC64) === CHECK_VALUE);
}

/** The implementation inside the SDK. Needs a copy of the data, about 1.2 GB/s per core. */
export async function wasmCrc64(): Promise<Crc64> {
  const { StorageCRC64Calculator: Calculator } = await import('@azure/storage-common');
  await Calculator.init();
  return { implementation: 'wasm', of: (bytes) => wasmOf(new Calculator(), bytes), combine: combineCrc64 };
}

// The calculator's memory is a fixed heap: feed it in pieces.
const WASM_PIECE = 1 << 20;

function wasmOf(calculator: StorageCRC64Calculator, bytes: Uint8Array): bigint {
  let position = 0;
  for (; bytes.length - position > WASM_PIECE; position += WASM_PIECE) {
    calculator.append(bytes.subarray(position, position + WASM_PIECE), WASM_PIECE);
  }
  const rest = bytes.subarray(position);
  return fromLittleEndian(calculator.final(rest, rest.length));
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return Buffer.from(bytes.buffer, bytes.byteOffset, 8).readBigUInt64LE(0);
}

/** 16 lower-case hexadecimal digits, as in `lfsazsync_crc64`. */
export function crc64Hex(crc: bigint): string {
  return crc.toString(16).padStart(16, '0');
}

/** Reads what {@link crc64Hex} writes; undefined for anything else. */
export function parseCrc64Hex(text: string): bigint | undefined {
  return /^[0-9a-f]{16}$/i.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** The eight bytes, little-endian, as Azure takes them. */
export function crc64Bytes(crc: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(crc);
  return bytes;
}

/** The form of the header `x-ms-content-crc64`: base64 of {@link crc64Bytes}. */
export function crc64Header(crc: bigint): string {
  return crc64Bytes(crc).toString('base64');
}
