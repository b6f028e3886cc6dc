import { isUtf8 } from 'node:buffer';

/**
 * Paths of the file system as blob names, and back. A path is bytes; a blob name is text. What Azure accepts and keeps
 * is left as it is; anything else is written as `%` and two upper-case hexadecimal digits per byte. Two paths never
 * share a name. The rules are those of "Naming and Referencing Containers, Blobs, and Metadata", read strictly.
 */

export type NameResult = { readonly ok: true; readonly name: string } | { readonly ok: false; readonly reason: string };

/** Our own namespace, below the prefix. A user's directory of this name is escaped. */
export const RESERVED_DIRECTORY = '.lfsazsync';

/** Azure counts in .NET's characters: UTF-16 units. That is never fewer than Unicode characters. */
export const MAX_NAME_LENGTH = 1024;
export const MAX_NAME_SEGMENTS = 254;

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;

/**
 * The blob name of `path` (relative to the mount's root, no slash at either end) below `prefix` (no slash at either
 * end; empty for none), or why there can't be one.
 */
export function blobNameOf(path: Buffer, prefix: string): NameResult {
  const malformed = malformedPath(path);
  if (malformed !== undefined) return { ok: false, reason: malformed };
  const escaped = escapePath(path);
  return withinLimits(prefix === '' ? escaped : `${prefix}/${escaped}`);
}

/**
 * The path whose blob name below `prefix` is `name`; undefined when `blobNameOf` never gives this name (another
 * prefix, our own namespace, something that a stranger wrote).
 */
export function pathOf(name: string, prefix: string): Buffer | undefined {
  const start = prefix === '' ? '' : `${prefix}/`;
  if (!name.startsWith(start)) return undefined;
  const path = unescapeName(name.slice(start.length));
  const back = blobNameOf(path, prefix);
  return back.ok && back.name === name ? path : undefined;
}

/** The name of something of our own: `control`, `staging/<fid>`. */
export function reservedName(prefix: string, name: string): string {
  return `${prefix === '' ? '' : `${prefix}/`}${RESERVED_DIRECTORY}/${name}`;
}

/** Where a copy waits while its place is taken (a swap of names). */
export function stagingName(prefix: string, fid: string): string {
  return reservedName(prefix, `staging/${fid}`);
}

/** Whether the name lies in our own namespace: not a user's. */
export function isReservedName(name: string, prefix: string): boolean {
  const directory = reservedName(prefix, '');
  return name.startsWith(directory) || `${name}/` === directory;
}

/** Why the prefix can't be used, or undefined. It must be a name that needs no escaping and is not of our namespace. */
export function prefixProblem(prefix: string): string | undefined {
  if (prefix === '') return undefined;
  const result = blobNameOf(Buffer.from(prefix), '');
  if (!result.ok) return result.reason;
  if (result.name !== prefix) return 'it has characters, or segments ending in a dot, that Azure does not keep';
  if (prefix.split('/').includes(RESERVED_DIRECTORY)) return `the segment ${RESERVED_DIRECTORY} is reserved`;
  return undefined;
}

function malformedPath(path: Buffer): string | undefined {
  if (path.length === 0) return 'the path is empty: the root itself has no blob';
  if (path[0] === SLASH || path[path.length - 1] === SLASH) return 'the path begins or ends with a slash';
  if (path.includes(0)) return 'the path holds a NUL byte';
  if (path.includes('//')) return 'the path has an empty segment';
  const text = path.toString('latin1');
  if (/(?:^|\/)\.\.?(?:\/|$)/.test(text)) return "the path has a segment '.' or '..'";
  return undefined;
}

function withinLimits(name: string): NameResult {
  if (name.length > MAX_NAME_LENGTH) {
    return { ok: false, reason: `the blob name would have ${name.length} characters; Azure allows ${MAX_NAME_LENGTH}` };
  }
  let segments = 1;
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) segments++;
  if (segments > MAX_NAME_SEGMENTS) {
    return {
      ok: false,
      reason: `the blob name would have ${segments} path segments; Azure allows ${MAX_NAME_SEGMENTS}`,
    };
  }
  return { ok: true, name };
}

// Printable ASCII without percent and backslash, no segment ending in a dot: by far the most names.
const PLAIN = /^(?!\.lfsazsync(?:\/|$))(?:[ -$&-[\]-~](?<!\.(?=\/|$)))*$/;

function escapePath(path: Buffer): string {
  const latin1 = path.toString('latin1');
  if (PLAIN.test(latin1)) return latin1;
  const firstSegment = latin1.split('/', 1)[0];
  let name = '';
  let kept = 0;
  const keepUpTo = (end: number) => {
    if (end > kept) name += path.toString('utf8', kept, end);
  };
  for (let at = 0; at < path.length; ) {
    const length = mustEscape(path, at) ? 0 : characterLength(path, at);
    const reserved = at === 0 && firstSegment === RESERVED_DIRECTORY;
    if (length > 0 && !reserved) {
      at += length;
      continue;
    }
    keepUpTo(at);
    name += escapeByte(path[at] as number);
    at += 1;
    kept = at;
  }
  keepUpTo(path.length);
  return name;
}

/** ASCII that is escaped where it stands. */
function mustEscape(path: Buffer, at: number): boolean {
  const byte = path[at] as number;
  if (byte < 0x20 || byte === 0x7f || byte === BACKSLASH) return true;
  if (byte === DOT) return at + 1 === path.length || path[at + 1] === SLASH;
  if (byte === PERCENT) return escapedByte(path.toString('latin1', at, at + 3), 0) !== undefined;
  return false;
}

/** The bytes of the character that begins at `at` when Azure keeps it; 0 for anything else. */
function characterLength(path: Buffer, at: number): number {
  const first = path[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const bytes = path.subarray(at, at + length);
  if (bytes.length < length || !isUtf8(bytes)) return 0;
  const text = bytes.toString('utf8');
  const codePoint = text.codePointAt(0) as number;
  // Two short characters in place of one long: the first byte lied.
  if (text.length !== (codePoint > 0xffff ? 2 : 1)) return 0;
  return isRefused(codePoint) ? 0 : length;
}

/** C1 controls, private use ("code points like \uE000") and noncharacters: documented as not valid in blob names. */
function isRefused(codePoint: number): boolean {
  if (codePoint >= 0x80 && codePoint <= 0x9f) return true;
  if (codePoint >= 0xe000 && codePoint <= 0xf8ff) return true;
  if (codePoint >= 0xf0000) return true;
  if (codePoint >= 0xfdd0 && codePoint <= 0xfdef) return true;
  return (codePoint & 0xfffe) === 0xfffe;
}

function escapeByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The byte that an escape at `at` stands for; undefined when there is none that we write. */
function escapedByte(text: string, at: number): number | undefined {
  const digits = text.slice(at + 1, at + 3);
  if (text[at] !== '%' || !/^[0-9A-F]{2}$/.test(digits)) return undefined;
  const byte = Number.parseInt(digits, 16);
  const written = byte < 0x20 || byte >= 0x7f || byte === BACKSLASH || byte === DOT || byte === PERCENT;
  return written ? byte : undefined;
}

function unescapeName(name: string): Buffer {
  const parts: Buffer[] = [];
  let kept = 0;
  for (let at = name.indexOf('%'); at !== -1; at = name.indexOf('%', at)) {
    const byte = escapedByte(name, at);
    if (byte === undefined) {
      at += 1;
      continue;
    }
    parts.push(Buffer.from(name.slice(kept, at)), Buffer.of(byte));
    at += 3;
    kept = at;
  }
  parts.push(Buffer.from(name.slice(kept)));
  return Buffer.concat(parts);
}
