import { isReservedName } from '../blob/naming.ts';
import { OperatorError } from '../service/errors.ts';

/** Where in the container an import looks: everything below `start`, and single blobs that stand for the directory itself. */
export interface Place {
  /** A beginning of names that ends in a slash, or is empty. */
  readonly start: string;
  /** Names of its own marker and of those above, which no listing below `start` has. */
  readonly markers: readonly string[];
}

/**
 * The directories that were named, as beginnings of names: never `foo` for `foobar`, and none inside another.
 * @param prefix the archive's
 * @throws OperatorError for what can't be a directory's name
 */
export function placesOf(prefixes: readonly string[], prefix: string): Place[] {
  const named = [...new Set(prefixes.map(trimmed))].sort();
  for (const one of named) checkName(one, prefix);
  if (named.length === 0 || named.includes('')) return [{ start: below(prefix, ''), markers: [] }];
  return named
    .filter((one) => !named.some((other) => one !== other && one.startsWith(`${other}/`)))
    .map((one) => ({ start: below(prefix, `${one}/`), markers: markersOf(one).map((name) => below(prefix, name)) }));
}

function below(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}/${name}`;
}

const trimmed = (text: string) => text.replace(/^\/+|\/+$/g, '');

/** `a`, `a/b`, and so on: outermost first. */
function markersOf(name: string): string[] {
  const segments = name.split('/');
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'));
}

function checkName(name: string, prefix: string): void {
  const bad = name.includes('//') || name.split('/').some((segment) => segment === '.' || segment === '..');
  if (!bad && !isReservedName(below(prefix, name), prefix)) return;
  throw new OperatorError(`${JSON.stringify(name)} is no directory of the container that could be imported.`, {
    code: 'IMPORT_PREFIX',
    hint: 'Name directories as in the names of blobs, such as projects/2024.',
    exit: 'usage',
  });
}
