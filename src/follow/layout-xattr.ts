/**
 * The OSTs and the pool in a file's layout (`trusted.lov`: struct lov_mds_md_v1 and v3, and lov_comp_md_v1 of Lustre's
 * on-disk format, little-endian).
 */

/** The attribute that holds the layout. */
export const LAYOUT_XATTR = 'trusted.lov';

const MAGIC = { V1: 0x0bd10bd0, V3: 0x0bd30bd0, COMPOSITE: 0x0bd60bd0 } as const;
const PATTERN_RELEASED = 0x80000000;
const PATTERN_MDT = 0x100;
/** Of a component: its objects are there. */
const INSTANTIATED = 0x10;
const POOL_LENGTH = 16;
/** Object id (16 bytes), generation (4), OST (4). */
const OBJECT = 24;

export interface Objects {
  /** OSTs on which it has objects, ascending; none of a released file. */
  readonly osts: readonly number[];
  readonly pool: string;
}

/** @returns undefined: it is no layout of a file that we know how to read */
export function parseLayoutXattr(value: Buffer): Objects | undefined {
  const osts = new Set<number>();
  const pools: string[] = [];
  const fits =
    value.length >= 4 && value.readUInt32LE(0) === MAGIC.COMPOSITE
      ? readComposite(value, osts, pools)
      : readPlain(value, true, osts, pools);
  if (!fits) return undefined;
  return { osts: [...osts].sort((a, b) => a - b), pool: pools.at(-1) ?? '' };
}

function readComposite(value: Buffer, osts: Set<number>, pools: string[]): boolean {
  const [head, entrySize] = [32, 48];
  if (value.length < head) return false;
  const count = value.readUInt16LE(14);
  if (head + count * entrySize > value.length) return false;
  for (let index = 0; index < count; index++) {
    const entry = head + index * entrySize;
    const offset = value.readUInt32LE(entry + 24);
    const size = value.readUInt32LE(entry + 28);
    if (offset + size > value.length) return false;
    const instantiated = (value.readUInt32LE(entry + 4) & INSTANTIATED) !== 0;
    if (!readPlain(value.subarray(offset, offset + size), instantiated, osts, pools)) return false;
  }
  return true;
}

function readPlain(value: Buffer, instantiated: boolean, osts: Set<number>, pools: string[]): boolean {
  if (value.length < 32) return false;
  const magic = value.readUInt32LE(0);
  if (magic !== MAGIC.V1 && magic !== MAGIC.V3) return false;
  const objects = magic === MAGIC.V3 ? 32 + POOL_LENGTH : 32;
  if (value.length < objects) return false;
  if (magic === MAGIC.V3) {
    const name = value.subarray(32, objects);
    const end = name.indexOf(0);
    pools.push(name.toString('latin1', 0, end === -1 ? POOL_LENGTH : end));
  }
  const pattern = value.readUInt32LE(4);
  if (!instantiated || (pattern & (PATTERN_RELEASED | PATTERN_MDT)) !== 0) return true;
  const count = value.readUInt16LE(28);
  if (objects + count * OBJECT > value.length) return false;
  for (let index = 0; index < count; index++) osts.add(value.readUInt32LE(objects + index * OBJECT + 20));
  return true;
}
