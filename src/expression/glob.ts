/**
 * Patterns for names and paths, which are bytes. `*` stands for any characters, `?` for one, `[a-z]` and `[!a-z]` for
 * one of a set; in paths none of them stands for a slash, and `**` for any characters with slashes. A backslash takes
 * the meaning from what follows; `\xNN` is a byte, `\n` and `\t` are newline and tab. Characters are those of UTF-8; a
 * byte that belongs to none counts as one.
 */
export interface Glob {
  /** As it was written, without the quotes. */
  readonly text: string;
  /** The only bytes that it matches, when it has no wildcards. */
  readonly exact: Buffer | undefined;
  readonly ignoreCase: boolean;
  readonly parts: readonly GlobPart[];
  /** What all that it matches begins and ends with, apart from each other: most names are told by that. */
  readonly lead: Buffer;
  readonly tail: Buffer;
  /** The only part besides those two, where that decides: any bytes; any but slashes. */
  readonly between: 'deep' | 'any' | undefined;
}

type GlobPart =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'one' }
  | { readonly kind: 'any' }
  | { readonly kind: 'deep' }
  | { readonly kind: 'set'; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] };

/** A pattern that can't be read: what is wrong, and how many characters before it. */
export class GlobError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const SLASH = 0x2f;
/** Added to a byte that is not part of a character of UTF-8. */
const STRAY = 0x110000;

/** Reads a pattern. @param ignoreCase compares ASCII letters without their case. @throws GlobError */
export function parseGlob(text: string, { ignoreCase = false }: { ignoreCase?: boolean } = {}): Glob {
  const parts: GlobPart[] = [];
  let literal: Buffer[] = [];
  const flush = () => {
    if (literal.length > 0) parts.push({ kind: 'bytes', bytes: Buffer.concat(literal) });
    literal = [];
  };
  for (let at = 0; at < text.length; ) {
    const special = specialAt(text, at);
    if (special === undefined) {
      const { bytes, next } = literalAt(text, at);
      literal.push(bytes);
      at = next;
      continue;
    }
    flush();
    parts.push(special.part);
    at = special.next;
  }
  flush();
  const [first] = parts;
  const exact =
    parts.length === 0
      ? Buffer.alloc(0)
      : parts.length === 1 && first?.kind === 'bytes' && !ignoreCase
        ? first.bytes
        : undefined;
  return { text, exact, ignoreCase, parts, ...ends(parts, ignoreCase) };
}

const NOTHING = Buffer.alloc(0);

function ends(parts: readonly GlobPart[], ignoreCase: boolean): Pick<Glob, 'lead' | 'tail' | 'between'> {
  if (ignoreCase) return { lead: NOTHING, tail: NOTHING, between: undefined };
  const bytesOf = (part: GlobPart | undefined) => (part?.kind === 'bytes' ? part.bytes : NOTHING);
  const lead = bytesOf(parts[0]);
  const tail = parts.length > 1 ? bytesOf(parts[parts.length - 1]) : NOTHING;
  const [star, ...more] = parts.slice(lead.length > 0 ? 1 : 0, tail.length > 0 ? -1 : undefined);
  const between = more.length === 0 && (star?.kind === 'deep' || star?.kind === 'any') ? star.kind : undefined;
  // A star takes whole characters: it can't end within one, where such a tail would begin.
  return { lead, tail, between: isContinuation(tail[0]) ? undefined : between };
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** Compared here: for a few bytes a call to the outside costs more. */
function hasAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (at < 0 || at + wanted.length > bytes.length) return false;
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

function specialAt(text: string, at: number): { part: GlobPart; next: number } | undefined {
  const character = text[at];
  if (character === '*') {
    let next = at + 1;
    while (text[next] === '*') next += 1;
    return { part: { kind: next > at + 1 ? 'deep' : 'any' }, next };
  }
  if (character === '?') return { part: { kind: 'one' }, next: at + 1 };
  return character === '[' ? setAt(text, at) : undefined;
}

/** `[…]`; undefined: the bracket is never closed, and so an ordinary character. */
function setAt(text: string, start: number): { part: GlobPart; next: number } | undefined {
  let at = start + 1;
  const negated = text[at] === '!' || text[at] === '^';
  if (negated) at += 1;
  const ranges: (readonly [number, number])[] = [];
  for (let first = true; at < text.length; first = false) {
    if (text[at] === ']' && !first) return { part: { kind: 'set', negated, ranges }, next: at + 1 };
    if (text[at] === '[' && /[:.=]/.test(text[at + 1] ?? '') && text.includes(`${text[at + 1]}]`, at + 2))
      throw new GlobError(`'[${text[at + 1]}…${text[at + 1]}]' is not supported in a set`, at);
    const low = memberAt(text, at);
    at = low.next;
    let high = low.code;
    if (text[at] === '-' && at + 1 < text.length && text[at + 1] !== ']') {
      const end = memberAt(text, at + 1);
      if (end.code < low.code) throw new GlobError('a range of characters ends before it begins', at - 1);
      high = end.code;
      at = end.next;
    }
    ranges.push([low.code, high]);
  }
  return undefined;
}

function memberAt(text: string, at: number): { code: number; next: number } {
  if (text[at] !== '\\') {
    const code = text.codePointAt(at) as number;
    return { code, next: at + (code > 0xffff ? 2 : 1) };
  }
  const { bytes, next } = literalAt(text, at);
  return { code: characterAt(bytes, 0).code, next };
}

/** One character or escape as bytes. */
function literalAt(text: string, at: number): { bytes: Buffer; next: number } {
  const code = text.codePointAt(at) as number;
  if (text[at] !== '\\') return { bytes: Buffer.from(String.fromCodePoint(code)), next: at + (code > 0xffff ? 2 : 1) };
  const escaped = text[at + 1];
  if (escaped === undefined) throw new GlobError('a backslash stands at the end', at);
  if (escaped === 'x') {
    const hex = /^[0-9a-f]{2}/i.exec(text.slice(at + 2));
    if (hex === null) throw new GlobError("'\\x' needs two hexadecimal digits", at);
    return { bytes: Buffer.of(Number.parseInt(hex[0], 16)), next: at + 4 };
  }
  if (escaped === 'n' || escaped === 't') return { bytes: Buffer.from(escaped === 'n' ? '\n' : '\t'), next: at + 2 };
  const meant = text.codePointAt(at + 1) as number;
  return { bytes: Buffer.from(String.fromCodePoint(meant)), next: at + (meant > 0xffff ? 3 : 2) };
}

/** Whether all of the bytes match. @param slashes `*`, `?` and sets don't stand for slashes */
export function globMatches(glob: Glob, bytes: Uint8Array, slashes: boolean): boolean {
  return matchesFrom(glob, bytes, 0, slashes);
}

/** Whether the last part of a path matches. */
export function globMatchesName(glob: Glob, path: Uint8Array): boolean {
  let start = path.length;
  while (start > 0 && path[start - 1] !== SLASH) start -= 1;
  return matchesFrom(glob, path, start, false);
}

function matchesFrom(glob: Glob, bytes: Uint8Array, start: number, slashes: boolean): boolean {
  const { exact, lead, tail, between } = glob;
  if (exact !== undefined) return exact.length === bytes.length - start && hasAt(bytes, start, exact);
  if (bytes.length - start < lead.length + tail.length) return false;
  if (!hasAt(bytes, start, lead) || !hasAt(bytes, bytes.length - tail.length, tail)) return false;
  if (between === 'deep' || (between === 'any' && !slashes)) return true;
  const rest = start === 0 ? bytes : bytes.subarray(start);
  return matchFrom(glob.parts, rest, rest.length, slashes, glob.ignoreCase);
}

/** Whether a path matches. @param path relative to the root, as files have it; patterns have the slash before it */
export function globMatchesPath(glob: Glob, path: Buffer): boolean {
  return mayBegin(glob, path) && globMatches(glob, rooted(path), true);
}

/** Whether a path matches, or one of the directories on its way. @param path relative to the root */
export function globMatchesTree(glob: Glob, path: Buffer): boolean {
  if (!mayBegin(glob, path)) return false;
  const { exact, tail, between } = glob;
  // One before that is as long as the pattern: itself, or it is above.
  if (exact !== undefined) return path.length < exact.length || exact.length === 0 || path[exact.length - 1] === SLASH;
  if (between === 'deep' && tail.length === 0) return true;
  const whole = rooted(path);
  for (let end = whole.length; end >= 0; end = end === 0 ? -1 : whole.lastIndexOf(SLASH, end - 1)) {
    if (globMatches(glob, whole.subarray(0, end), true)) return true;
  }
  return false;
}

/** Whether the path with its slash, or anything above it, can begin as the pattern does. The root has no slash. */
function mayBegin({ lead }: Glob, path: Buffer): boolean {
  if (lead.length === 0) return true;
  if (path.length < lead.length - 1 || path.length === 0 || lead[0] !== SLASH) return false;
  for (let i = 1; i < lead.length; i++) if (path[i - 1] !== lead[i]) return false;
  return true;
}

const ROOT = Buffer.of(SLASH);
const rooted = (path: Buffer): Buffer => (path.length === 0 ? path : Buffer.concat([ROOT, path]));

/** Goes on greedily, and back to the last `*`, then to the last `**`: no more than lengths multiplied. */
function matchFrom(
  parts: readonly GlobPart[],
  bytes: Uint8Array,
  end: number,
  slashes: boolean,
  ignoreCase: boolean,
): boolean {
  let part = 0;
  let at = 0;
  let any: { part: number; at: number } | undefined;
  let deep: { part: number; at: number } | undefined;
  for (;;) {
    const current = parts[part];
    if (current === undefined ? at === end : current.kind === 'any' || current.kind === 'deep') {
      if (current === undefined) return true;
      part += 1;
      if (current.kind === 'any' && slashes) any = { part, at };
      else {
        deep = { part, at };
        any = undefined;
      }
      continue;
    }
    const length = current === undefined ? 0 : lengthMatched(current, bytes, at, end, slashes, ignoreCase);
    if (length > 0) {
      part += 1;
      at += length;
      continue;
    }
    if (any !== undefined && any.at < end && bytes[any.at] !== SLASH) {
      any.at += characterAt(bytes, any.at).length;
      ({ part, at } = any);
    } else if (deep !== undefined && deep.at < end) {
      deep.at += characterAt(bytes, deep.at).length;
      ({ part, at } = deep);
      any = undefined;
    } else return false;
  }
}

/** Bytes that a part other than a star takes here; 0: it does not match. */
function lengthMatched(
  part: GlobPart,
  bytes: Uint8Array,
  at: number,
  end: number,
  slashes: boolean,
  ignoreCase: boolean,
): number {
  if (at >= end) return 0;
  if (part.kind === 'bytes') {
    const next = at + part.bytes.length;
    if (next > end) return 0;
    const same = ignoreCase ? sameWithoutCase(bytes, at, part.bytes) : hasAt(bytes, at, part.bytes);
    return same ? part.bytes.length : 0;
  }
  if (slashes && bytes[at] === SLASH) return 0;
  const { code, length } = characterAt(bytes, at);
  if (part.kind === 'one') return length;
  return part.kind === 'set' && inSet(part.ranges, code, ignoreCase) !== part.negated ? length : 0;
}

function inSet(ranges: readonly (readonly [number, number])[], code: number, ignoreCase: boolean): boolean {
  const codes = ignoreCase ? [lower(code), upper(code)] : [code];
  return ranges.some(([low, high]) => codes.some((one) => one >= low && one <= high));
}

const lower = (code: number) => (code >= 0x41 && code <= 0x5a ? code + 32 : code);
const upper = (code: number) => (code >= 0x61 && code <= 0x7a ? code - 32 : code);

function sameWithoutCase(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) {
    if (lower(bytes[at + i] as number) !== lower(wanted[i] as number)) return false;
  }
  return true;
}

/** The character of UTF-8 at a place, or a single byte that is none. */
function characterAt(bytes: Uint8Array, at: number): { code: number; length: number } {
  const first = bytes[at] as number;
  if (first < 0x80) return { code: first, length: 1 };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
  if (length === 1 || at + length > bytes.length) return { code: STRAY + first, length: 1 };
  let code = first & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i] as number;
    if ((next & 0xc0) !== 0x80) return { code: STRAY + first, length: 1 };
    code = (code << 6) | (next & 0x3f);
  }
  return { code, length };
}
