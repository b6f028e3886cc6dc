/*
 * Names of blobs by docs/blob-format.md, written from that page and none of the product's code, and slow. One thing it
 * does not have: limits of length.
 */

/** The name that a path, relative to the mount's root, has in a container without a prefix. */
export function nameByTheBook(path: Buffer): string {
  const name = split(path)
    .map((segment, index) => {
      const escaped = escapedSegment(segment);
      return index === 0 && escaped === '.lfsazsync' ? '%2Elfsazsync' : escaped;
    })
    .join('/');
  return name;
}

function split(path: Buffer): Buffer[] {
  const segments: Buffer[] = [];
  let from = 0;
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', from)) {
    segments.push(path.subarray(from, at));
    from = at + 1;
  }
  return [...segments, path.subarray(from)];
}

function escapedSegment(segment: Buffer): string {
  let name = '';
  for (let at = 0; at < segment.length; ) {
    const { text, length } = characterAt(segment, at);
    const isLastDot = text === '.' && at === segment.length - 1;
    const isEscapeByChance = text === '%' && readsAsEscape(segment.subarray(at));
    if (text === undefined || isLastDot || isEscapeByChance || isForbidden(text.codePointAt(0) as number)) {
      name += escaped(segment.subarray(at, at + length));
    } else name += text;
    at += length;
  }
  return name;
}

const escaped = (bytes: Buffer): string =>
  [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/** One character in strict UTF-8; without one, a byte that is none. */
function characterAt(bytes: Buffer, at: number): { text?: string; length: number } {
  for (const length of [1, 2, 3, 4]) {
    const piece = bytes.subarray(at, at + length);
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(piece);
      if (piece.length === length && [...text].length === 1) return { text, length };
    } catch {
      // Not a whole character yet, or never one.
    }
  }
  return { length: 1 };
}

function isForbidden(point: number): boolean {
  const isControl = point <= 0x1f || (point >= 0x7f && point <= 0x9f);
  const isNoncharacter = (point >= 0xfdd0 && point <= 0xfdef) || (point & 0xfffe) === 0xfffe;
  const isPrivate = (point >= 0xe000 && point <= 0xf8ff) || point >= 0xf0000;
  return isControl || point === 0x5c || isNoncharacter || isPrivate;
}

/** A percent sign and two upper-case digits of a byte that is ever written so. */
function readsAsEscape(bytes: Buffer): boolean {
  const digits = /^%([0-9A-F]{2})/.exec(bytes.toString('latin1', 0, 3))?.[1];
  if (digits === undefined) return false;
  const byte = Number.parseInt(digits, 16);
  return byte <= 0x1f || byte >= 0x7f || [0x25, 0x2e, 0x5c].includes(byte);
}
