import type { KnownEntry } from '../catalog/types.ts';
import { describeState } from '../lustre/hsm-state.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import { pathFields } from '../lustre/printable.ts';
import { OperatorError } from '../service/errors.ts';
import type { Found } from './find.ts';

type Part = (found: Found, mount: Buffer) => Buffer | string;

const TYPE_LETTERS: Readonly<Record<KnownEntry['type'], string>> = {
  ...{ file: 'f', dir: 'd', symlink: 'l', fifo: 'p', chr: 'c', blk: 'b', sock: 's' },
};

const DIRECTIVES: Readonly<Record<string, Part>> = {
  p: ({ path }, mount) => joinBytes(mount, path),
  P: ({ path }) => path,
  f: ({ path }) => path.subarray(path.lastIndexOf(0x2f) + 1),
  i: ({ entry }) => entry.fid,
  y: ({ entry }) => TYPE_LETTERS[entry.type],
  s: ({ entry }) => String(entry.size),
  b: ({ entry }) => String(entry.blocks),
  m: ({ entry }) => entry.mode.toString(8).padStart(4, '0'),
  n: ({ entry }) => String(entry.nlink),
  U: ({ entry }) => String(entry.uid),
  G: ({ entry }) => String(entry.gid),
  j: ({ entry }) => String(entry.project),
  T: ({ entry }) => String(entry.mtime),
  A: ({ entry }) => String(entry.atime),
  C: ({ entry }) => String(entry.ctime),
  h: ({ entry }) => stateWords(entry).join(','),
  a: ({ entry }) => String(entry.archive),
  o: ({ entry }) => entry.osts.join(','),
  l: ({ entry }) => entry.pool,
  '%': () => '%',
};
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '0': '\0', '\\': '\\' };

/** The flags in words; none: `none`. */
export function stateWords({ hsm, archive }: KnownEntry): string[] {
  return describeState({ states: hsm, archive }).split(' ');
}

/**
 * A text with directives as `find -printf` has them, as something that renders.
 * @throws OperatorError (exit `usage`) for a directive that there is not
 */
export function formatter(text: string, mount: string): (found: Found) => Buffer {
  const parts: (Part | string)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const [sign, code = ''] = [text[at] as string, text[at + 1]];
    if (sign !== '%' && sign !== '\\') {
      parts.push(sign);
      continue;
    }
    const part = sign === '%' ? DIRECTIVES[code] : ESCAPES[code];
    if (part === undefined) throw unknown(`${sign}${code}`);
    parts.push(part);
    at += 1;
  }
  const root = Buffer.from(mount);
  return (found) =>
    Buffer.concat(
      parts.map((part) => {
        const value = typeof part === 'string' ? part : part(found, root);
        return typeof value === 'string' ? Buffer.from(value) : value;
      }),
    );
}

function unknown(directive: string): OperatorError {
  return new OperatorError(`--format has no directive ${directive}.`, {
    code: 'USAGE',
    hint: `Directives are ${Object.keys(DIRECTIVES)
      .map((code) => `%${code}`)
      .join(' ')}, and \\n \\t \\0 \\\\.`,
    exit: 'usage',
  });
}

/** A found file in JSON: documented in docs/find.md. */
export interface FoundJson {
  readonly path?: string;
  readonly path_b64?: string;
  readonly fid: string;
  readonly type: KnownEntry['type'];
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly project: number;
  readonly size: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  readonly nlink: number;
  /** Seconds since 1970. */
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  readonly hsm: readonly string[];
  readonly archive: number;
  readonly osts: readonly number[];
  readonly pool: string;
}

export function foundJson({ entry, path }: Found): FoundJson {
  const { fid, type, uid, gid, project, nlink, atime, mtime, ctime, archive, osts, pool } = entry;
  return {
    ...pathFields(path),
    ...{ fid, type, mode: entry.mode.toString(8).padStart(4, '0'), uid, gid, project },
    ...{ size: Number(entry.size), blocks: Number(entry.blocks), nlink, atime, mtime, ctime },
    ...{ hsm: entry.hsm === 0 ? [] : stateWords(entry), archive, osts, pool },
  };
}
