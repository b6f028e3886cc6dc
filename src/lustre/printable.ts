import { isUtf8 } from 'node:buffer';

/**
 * A name or path as one safe line: control characters, invisible and direction-changing ones, backslashes and bytes
 * that are not UTF-8 come as C-like escapes, so that a name can't move the cursor, forge a line or hide itself.
 */
export function printable(path: Buffer): string {
  if (isUtf8(path)) return escapeText(path.toString('utf8'));
  let text = '';
  for (let at = 0; at < path.length; ) {
    const length = sequenceLength(path, at);
    text += length === 0 ? hex(path[at] as number) : escapeText(path.toString('utf8', at, at + length));
    at += Math.max(1, length);
  }
  return text;
}

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\\': '\\\\' };

function escapeText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\\]/gu, (character) => {
    const short = SHORT[character];
    if (short !== undefined) return short;
    const code = character.codePointAt(0) as number;
    return code < 0x80 ? hex(code) : `\\u{${code.toString(16)}}`;
  });
}

const hex = (byte: number) => `\\x${byte.toString(16).padStart(2, '0')}`;

/** Bytes of the valid UTF-8 character at this place; 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length += 1) {
    if (isUtf8(bytes.subarray(at, at + length))) return length;
  }
  return 0;
}

/** A path for `--json`: as text, or in base64 where it is not UTF-8. */
export function pathFields(path: Buffer): { readonly path: string } | { readonly path_b64: string } {
  return isUtf8(path) ? { path: path.toString('utf8') } : { path_b64: path.toString('base64') };
}
