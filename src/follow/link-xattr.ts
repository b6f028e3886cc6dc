import type { Link } from '../catalog/types.ts';
import { type Fid, parseFid } from '../identity/fid.ts';

/** The attribute in which Lustre keeps a file's names (struct link_ea_header and link_ea_entry of its on-disk format). */
export const LINK_XATTR = 'trusted.link';

const MAGIC = 0x11eaf1df;
const HEADER = 24;
/** Length (2 bytes), FID (16), then the name; all big-endian but the header. */
const ENTRY = 18;

/**
 * The names in a value of `trusted.link`. It may leave some out where there are many: compare with the number of links.
 * @returns undefined: it is none, or torn
 */
export function parseLinkXattr(value: Buffer): Link[] | undefined {
  if (value.length < HEADER || value.readUInt32LE(0) !== MAGIC) return undefined;
  const count = value.readUInt32LE(4);
  const links: Link[] = [];
  let at = HEADER;
  for (let index = 0; index < count; index++) {
    if (at + ENTRY > value.length) return undefined;
    const length = value.readUInt16BE(at);
    if (length <= ENTRY || at + length > value.length) return undefined;
    links.push({ parent: fidAt(value, at + 2), name: Buffer.from(value.subarray(at + ENTRY, at + length)) });
    at += length;
  }
  return links;
}

function fidAt(value: Buffer, at: number): Fid {
  const part = (number: number | bigint) => `0x${number.toString(16)}`;
  const text = `${part(value.readBigUInt64BE(at))}:${part(value.readUInt32BE(at + 8))}:${part(value.readUInt32BE(at + 12))}`;
  return parseFid(text) as Fid;
}
