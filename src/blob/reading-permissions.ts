/** What the type bits of a mode may say; `special` is everything that a container can't hold. */
export type FileType = 'file' | 'dir' | 'symlink' | 'special';

/** A mode, and the type with it where it has type bits. */
export interface Mode {
  /** Twelve bits. */
  readonly mode: number;
  readonly type?: FileType;
}

/** Where the permissions were found; `unreadable` are the keys whose values mean nothing. */
export interface Permissions extends Partial<Mode> {
  readonly key?: string;
  readonly unreadable: readonly string[];
}

type Keys = ReadonlyMap<string, string>;

/** Names that FSx's keys have in Azure, where a hyphen is not allowed: AzCopy renames them, others put underscores. */
export function fsxKeys(name: string): readonly string[] {
  return [`file-${name}`, `file_${name}`, `rename_file_${name}`];
}

/** The permissions that a blob's keys (in lower case) give, by the first key that has some. */
export function readPermissions(keys: Keys): Permissions {
  const unreadable: string[] = [];
  for (const [key, read] of SOURCES) {
    const value = keys.get(key);
    if (value === undefined || value === '') continue;
    const mode = read(value, keys);
    if (mode !== undefined) return { ...mode, key, unreadable };
    unreadable.push(key);
  }
  return { unreadable };
}

const SOURCES: readonly (readonly [string, (value: string, keys: Keys) => Mode | undefined])[] = [
  [
    'permissions',
    (value, keys) => (isDecimal(value, keys) ? decimalMode(value) : (octalMode(value) ?? textMode(value))),
  ],
  ['perm', octalMode],
  ...fsxKeys('permissions').map((key) => [key, octalMode] as const),
  ['hdi_permission', hadoopMode],
  ['asv_permission', hadoopMode],
];

/**
 * AzCopy's standard style writes st_mode in decimal; its style for Managed Lustre writes octal digits, but `posix_ino`
 * and the like all the same. So the other keys decide, as AzCopy does itself when it reads.
 */
function isDecimal(value: string, keys: Keys): boolean {
  if (keys.has('owner') || keys.has('group') || (value.length > 1 && value.startsWith('0'))) return false;
  for (const key of keys.keys()) if (key.startsWith('posix_')) return true;
  return false;
}

function decimalMode(value: string): Mode | undefined {
  return /^\d{1,6}$/.test(value) ? fromStat(Number(value)) : undefined;
}

/**
 * `0644`, `644`, with type bits (`0100644`), or what Go prints of its own mode bits, which is what lemur wrote: they lie
 * higher, so a setuid file is `40000755`.
 */
function octalMode(value: string): Mode | undefined {
  if (!/^[0-7]{1,12}$/.test(value)) return undefined;
  const bits = Number.parseInt(value, 8);
  return bits <= 0o177777 ? fromStat(bits) : fromGo(bits);
}

function fromStat(bits: number): Mode | undefined {
  const mode = bits & 0o7777;
  switch (bits >> 12) {
    case 0:
      return { mode };
    case 0o10:
      return { mode, type: 'file' };
    case 0o04:
      return { mode, type: 'dir' };
    case 0o12:
      return { mode, type: 'symlink' };
    case 0o01:
    case 0o02:
    case 0o06:
    case 0o14:
      return { mode, type: 'special' };
    default:
      return undefined;
  }
}

// Go's os.FileMode: https://pkg.go.dev/io/fs#FileMode
const GO_DIRECTORY = 2 ** 31;
const GO_SYMLINK = 1 << 27;
const GO_SPECIAL = (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21);
const GO_SETUID = 1 << 23;
const GO_SETGID = 1 << 22;
const GO_STICKY = 1 << 20;

function fromGo(bits: number): Mode | undefined {
  if (bits >= 2 ** 32) return undefined;
  const mode =
    (bits & 0o777) |
    ((bits & GO_SETUID) === 0 ? 0 : 0o4000) |
    ((bits & GO_SETGID) === 0 ? 0 : 0o2000) |
    ((bits & GO_STICKY) === 0 ? 0 : 0o1000);
  if (bits >= GO_DIRECTORY) return { mode, type: 'dir' };
  if ((bits & GO_SYMLINK) !== 0) return { mode, type: 'symlink' };
  return (bits & GO_SPECIAL) === 0 ? { mode, type: 'file' } : { mode, type: 'special' };
}

/** `rwxr-xr-x`, as ls has it, and with the sticky bit as a tenth letter, as Azure's own notation has it; `+` tells of an ACL. */
function textMode(value: string): Mode | undefined {
  const match = /^([r-][w-][xsS-])([r-][w-][xsS-])([r-][w-][xtT-])(t?)\+?$/.exec(value);
  if (match === null) return undefined;
  const [, owner = '', group = '', other = '', sticky] = match;
  const mode =
    (triad(owner) << 6) |
    (triad(group) << 3) |
    triad(other) |
    (/[sS]/.test(owner) ? 0o4000 : 0) |
    (/[sS]/.test(group) ? 0o2000 : 0) |
    (/[tT]/.test(other) || sticky === 't' ? 0o1000 : 0);
  return { mode };
}

function triad(letters: string): number {
  return (letters[0] === 'r' ? 4 : 0) | (letters[1] === 'w' ? 2 : 0) | (/[xst]/.test(letters[2] ?? '') ? 1 : 0);
}

/** Hadoop's JSON: owner and group by name, which means nothing here, and permissions in letters. */
function hadoopMode(value: string): Mode | undefined {
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null || !('permissions' in json)) return undefined;
  return typeof json.permissions === 'string' ? textMode(json.permissions) : undefined;
}
