import type { BlobKind } from '../identity/blob-identity.ts';
import type { FileType } from '../lustre/attributes.ts';

/** How kinds are written in the database. Never changed once released; 1 is a file in the schema's index, too. */
const TYPES: readonly FileType[] = ['file', 'dir', 'symlink', 'fifo', 'chr', 'blk', 'sock'];
const KINDS: readonly BlobKind[] = ['file', 'dir', 'symlink', 'link'];

const TYPE_CODES = new Map(TYPES.map((type, index) => [type, index + 1]));
const KIND_CODES = new Map(KINDS.map((kind, index) => [kind, index + 1]));

export const FILE = 1;

export const typeCode = (type: FileType): number => codeOf(TYPE_CODES, type);
export const typeOf = (code: number): FileType => nameOf(TYPES, code);
export const kindCode = (kind: BlobKind): number => codeOf(KIND_CODES, kind);
export const kindOf = (code: number): BlobKind => nameOf(KINDS, code);

function codeOf<T>(codes: ReadonlyMap<T, number>, name: T): number {
  const code = codes.get(name);
  if (code === undefined) throw new RangeError(`no such kind: ${String(name)}`);
  return code;
}

function nameOf<T>(names: readonly T[], code: number): T {
  const name = names[code - 1];
  if (name === undefined) throw new RangeError(`no kind has the code ${code}`);
  return name;
}

/** 64-bit numbers of files that pass 2^53 (sparse ones) are read as text: see `wide`. */
export const wideColumn = (column: string) =>
  `CASE WHEN ${column} BETWEEN -9007199254740991 AND 9007199254740991 THEN ${column} ELSE CAST(${column} AS TEXT) END`;

/** The value of a `wideColumn`. */
export const wide = (value: unknown): bigint => BigInt(value as number | string);
