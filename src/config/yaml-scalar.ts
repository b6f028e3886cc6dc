const SPACE = /\s/;
const ESCAPE = /\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.|\n)/iy;
/** The end of a line that says nothing, and the next one's indentation. */
const CONTINUED = /^\\\n[ \t]*/;
const LONGEST_INDENT = 1000;

/**
 * Where a character of a text stands in the YAML that it was written as: plain, in quotes, or as a block. Blanks are taken
 * together, since YAML folds them.
 * @param source the scalar as written, from its first character on; @param value what it says
 */
export function offsetInSource(source: string, value: string, offset: number): number {
  let at = beginningOf(source);
  const quote = source[0] === "'" || source[0] === '"' ? source[0] : '';
  for (let read = 0; at < source.length; ) {
    if (quote === '"') at += CONTINUED.exec(source.slice(at, at + LONGEST_INDENT))?.[0].length ?? 0;
    if (read >= offset) break;
    if (SPACE.test(value[read] ?? '') && SPACE.test(source[at] ?? '')) {
      // Up to the place itself, when it is among the blanks.
      while (read < offset && SPACE.test(value[read] ?? '')) read += 1;
      if (SPACE.test(value[read] ?? '')) return at;
      while (SPACE.test(source[at] ?? '')) at += 1;
      continue;
    }
    at += widthOf(source, at, quote);
    read += 1;
  }
  return at;
}

/** Where the text itself begins. */
function beginningOf(source: string): number {
  if (source[0] === "'" || source[0] === '"') return 1;
  if (source[0] !== '|' && source[0] !== '>') return 0;
  const line = source.indexOf('\n') + 1;
  return line + (/^\s*/.exec(source.slice(line))?.[0].length ?? 0);
}

/** Characters that one of the value takes in the source. */
function widthOf(source: string, at: number, quote: string): number {
  if (quote === "'") return source.startsWith("''", at) ? 2 : 1;
  if (quote !== '"' || source[at] !== '\\') return 1;
  ESCAPE.lastIndex = at;
  return ESCAPE.exec(source)?.[0].length ?? 1;
}
