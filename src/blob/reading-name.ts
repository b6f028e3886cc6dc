import { isReservedName, pathOf, reservedName } from './naming.ts';
import type { ReadWarning, RefusalCode, Refused } from './reading-types.ts';

type ReadName =
  | {
      readonly kind: 'path';
      readonly path: Buffer;
      /** Whether the name ends in a slash, as directories' do in some containers. */
      readonly slash: boolean;
      readonly warnings: readonly ReadWarning[];
    }
  | { readonly kind: 'reserved'; readonly what: 'staging' | 'own' | 'root' }
  | Refused;

/** What Linux takes: NAME_MAX, and PATH_MAX with its NUL. */
const MAX_SEGMENT_BYTES = 255;
const MAX_PATH_BYTES = 4095;

/** A file of such a name is made without one (lustre_user.h, LUSTRE_VOLATILE_HDR). */
const VOLATILE = '.\x0c\x13\x14\x12:VOLATILE';

/**
 * The path that a name stands for. A name that we could have written is read as we write it; any other is a stranger's,
 * and its bytes are the path, if a file system can hold it.
 */
export function readName(name: string, prefix: string): ReadName {
  if (isReservedName(name, prefix)) return { kind: 'reserved', what: isStaged(name, prefix) ? 'staging' : 'own' };
  const start = prefix === '' ? '' : `${prefix}/`;
  if (prefix !== '' && (name === prefix || name === start)) return { kind: 'reserved', what: 'root' };
  if (!name.startsWith(start)) return refuse('outside-prefix', `it is not below ${JSON.stringify(prefix)}`);
  if (!name.isWellFormed()) return refuse('name-not-text', 'its name is not valid Unicode');
  const slash = name.endsWith('/');
  const bare = slash ? name.slice(0, -1) : name;
  const own = pathOf(bare, prefix);
  const path = own ?? Buffer.from(bare.slice(start.length));
  const problem = pathProblem(path);
  if (problem !== undefined) return problem;
  const warnings: ReadWarning[] =
    own !== undefined ? [] : [{ code: 'other-name', detail: 'archives of this file are written under another name' }];
  return { kind: 'path', path, slash, warnings };
}

function isStaged(name: string, prefix: string): boolean {
  return name.startsWith(reservedName(prefix, 'staging/'));
}

function pathProblem(path: Buffer): Refused | undefined {
  if (path.includes(0)) return refuse('name-nul', 'its name holds a NUL');
  if (path.length > MAX_PATH_BYTES) {
    return refuse('name-too-long', `its path has ${path.length} bytes; a file system takes ${MAX_PATH_BYTES}`);
  }
  const segments = path.toString('latin1').split('/');
  if (segments[0] === '.lustre') return refuse('name-reserved-by-lustre', 'the directory .lustre is Lustre’s own');
  for (const segment of segments) {
    if (segment === '') return refuse('name-empty-segment', 'its name has an empty segment');
    if (segment === '.' || segment === '..') return refuse('name-dot-segment', `its name has a segment '${segment}'`);
    if (segment.length > MAX_SEGMENT_BYTES) {
      const detail = `a segment of its name has ${segment.length} bytes; a file system takes ${MAX_SEGMENT_BYTES}`;
      return refuse('name-segment-too-long', detail);
    }
    if (segment.startsWith(VOLATILE)) {
      return refuse('name-reserved-by-lustre', 'Lustre makes files of such a name without one');
    }
  }
  return undefined;
}

function refuse(reason: RefusalCode, detail: string): Refused {
  return { kind: 'refused', reason, detail };
}
