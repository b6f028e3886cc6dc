import picomatch from 'picomatch';
import { OperatorError } from '../service/errors.ts';

/** Which files a request is for. All that are given must hold. */
export interface FilterOptions {
  /** Globs on the path relative to the mount; one must match. A glob without a slash matches the name alone. */
  readonly include?: readonly string[];
  /** Globs; none must match the file or a directory above it. */
  readonly exclude?: readonly string[];
  /** Milliseconds since the last change of the content (mtime). */
  readonly olderThan?: number;
  /** Bytes; strictly more. */
  readonly larger?: number;
  /** Bytes; strictly less. */
  readonly smaller?: number;
}

export interface Filters {
  /** Whether a directory is worth walking into. */
  directory(path: Buffer): boolean;
  /** By the name alone, before the file is looked at. */
  name(path: Buffer): boolean;
  /** By what the file is. */
  stat(stat: { readonly size: bigint; readonly mtime: bigint }): boolean;
}

/**
 * The filters as predicates. Paths that are not UTF-8 are matched with U+FFFD for the bytes that are not.
 * @param now milliseconds since 1970
 */
export function compileFilters(options: FilterOptions, now: number): Filters {
  const include = options.include ?? [];
  const included = matchers(include);
  const excluded = matchers(options.exclude ?? []);
  const latest = options.olderThan === undefined ? undefined : BigInt(now - options.olderThan) * 1_000_000n;
  const excludes = (path: string) => excluded.some((matches) => matches(path));
  return {
    directory: (path) => path.length === 0 || !excludes(path.toString('utf8')),
    name: (path) => {
      const text = path.toString('utf8');
      if (included.length > 0 && !included.some((matches) => matches(text))) return false;
      return !ancestry(text).some(excludes);
    },
    stat: ({ size, mtime }) =>
      (latest === undefined || mtime <= latest) &&
      (options.larger === undefined || size > BigInt(options.larger)) &&
      (options.smaller === undefined || size < BigInt(options.smaller)),
  };
}

/** The path and the directories above it. */
function ancestry(path: string): string[] {
  const paths = [path];
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) paths.push(path.slice(0, at));
  return paths;
}

function matchers(globs: readonly string[]): ((path: string) => boolean)[] {
  return globs.map((glob) => {
    if (glob === '') {
      throw new OperatorError('An empty pattern matches nothing.', {
        code: 'PATTERN_EMPTY',
        hint: "Write patterns such as '*.tmp' or 'projects/**'.",
        exit: 'usage',
      });
    }
    const pattern = glob.startsWith('/') ? glob.slice(1) : glob;
    // A pattern that only names something, as .gitignore and rsync have it, matches at any depth.
    const anywhere = !glob.includes('/');
    const matches = picomatch(pattern, { dot: true, nonegate: true, windows: false });
    return anywhere ? (path) => matches(path.slice(path.lastIndexOf('/') + 1)) : (path) => matches(path);
  });
}
