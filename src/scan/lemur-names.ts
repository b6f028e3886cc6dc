import { isUtf8 } from 'node:buffer';

/** The container that a record may speak of. */
interface Place {
  readonly container: string;
  readonly prefix: string;
}

/**
 * The names at which lemur's blob may be, by the value of `trusted.lhsm_uuid`. Its copytool writes the path that the file had
 * when it was archived, and puts its prefix before that; the hydrator writes `az://CONTAINER/NAME`. Neither escapes anything.
 */
export function lemurNames(value: Buffer, { container, prefix }: Place): string[] | 'other-container' {
  if (value.length === 0 || !isUtf8(value)) return [];
  const text = value.toString('utf8').replace(/\0+$/, '');
  const url = /^az:\/\/([^/]*)\/(.+)$/s.exec(text);
  if (url === null) return below(prefix, text.replace(/^\/+/, ''));
  const [, host = '', path = ''] = url;
  if (host !== '' && host !== container) return 'other-container';
  return [...new Set([path, decoded(path)].flatMap((name) => [name, ...below(prefix, name)]))].filter(isName);
}

function below(prefix: string, name: string): string[] {
  return [prefix === '' ? name : `${prefix}/${name}`].filter(isName);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** What may be asked for: segments `.` and `..` would be another blob's name, and control characters nobody's. */
function isName(name: string): boolean {
  if (name === '' || name.length > 1024) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  return !/[\x00-\x1f\x7f\\]|(?:^|\/)\.{1,2}(?:\/|$)/.test(name);
}
