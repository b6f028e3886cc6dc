import { parseModtime, parseNanoseconds } from './metadata.ts';
import { fsxKeys, readPermissions } from './reading-permissions.ts';
import type { ReadAttributes, ReadBlob, ReadDefaults, ReadStyle, ReadWarning } from './reading-types.ts';

type Keys = ReadonlyMap<string, string>;

/** A value, and whose key it was found under. */
interface Found<T> {
  readonly value: T;
  readonly style: ReadStyle;
}

const SECOND = 1_000_000_000n;
/** Some 34,000 years either way; beyond, it is not a time. */
const MAX_SECONDS = 2n ** 40n;

/** Owner, group, mode and modification time, each from the first key that has a readable value. @param keys in lower case */
export function readAttributes(
  blob: ReadBlob,
  keys: Keys,
  kind: 'file' | 'dir' | 'symlink' | 'link',
  defaults: ReadDefaults,
): { readonly attributes: ReadAttributes; readonly warnings: ReadWarning[] } {
  const warnings: ReadWarning[] = [];
  const own = blob.identity !== undefined;
  const uid = readId(keys, UID_KEYS, ROOT_USERS, warnings);
  const gid = readId(keys, GID_KEYS, ROOT_GROUPS, warnings);
  const mode = readMode(keys, warnings);
  const mtime = readTime(keys, warnings);
  const styles = [mode, uid, gid, mtime].flatMap((found) => (found === undefined ? [] : [found.style]));
  const fallback = kind === 'dir' ? defaults.dirMode : kind === 'symlink' ? 0o777 : defaults.fileMode;
  return {
    attributes: {
      uid: uid?.value ?? defaults.uid,
      gid: gid?.value ?? defaults.gid,
      mode: mode?.value ?? fallback,
      mtime: mtime?.value ?? lastModified(blob),
      style: own ? 'lfsazsync' : (styles[0] ?? 'none'),
    },
    warnings,
  };
}

const UID_KEYS = [
  ['owner', 'amlfs'],
  ['posix_owner', 'azcopy'],
  ['uid', 'lemur'],
  ...fsxKeys('owner').map((key) => [key, 'fsx'] as const),
] as const;
const GID_KEYS = [
  ['group', 'amlfs'],
  ['posix_group', 'azcopy'],
  ['gid', 'lemur'],
  ...fsxKeys('group').map((key) => [key, 'fsx'] as const),
] as const;

/** Names that Managed Lustre's importer takes for 0; it takes no others. */
const ROOT_USERS = ['root', '$superuser', 'superuser'];
const ROOT_GROUPS = ['root', 'wheel', '$supergroup', 'supergroup'];

function readId(
  keys: Keys,
  sources: readonly (readonly [string, ReadStyle])[],
  root: readonly string[],
  warnings: ReadWarning[],
): Found<number> | undefined {
  for (const [key, style] of sources) {
    const text = keys.get(key);
    if (text === undefined || text === '') continue;
    const value = root.includes(text) ? 0 : parseId(text);
    if (value !== undefined) return { value, style };
    warnings.push(unreadable(key, text));
  }
  return undefined;
}

/** The largest one is what chown takes for 'leave it'. */
function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value < 0xffffffff ? value : undefined;
}

/**
 * `lfsazsync_mode` has all bits; `permissions` is what people edit. Where they differ in the bits that both have,
 * somebody has, and setuid and setgid are not to outlive that.
 */
function readMode(keys: Keys, warnings: ReadWarning[]): Found<number> | undefined {
  const plain = readPermissions(keys);
  for (const key of plain.unreadable) warnings.push(unreadable(key, keys.get(key) ?? ''));
  const exactText = keys.get('lfsazsync_mode');
  const exact = exactText !== undefined && /^[0-7]{4}$/.test(exactText) ? Number.parseInt(exactText, 8) : undefined;
  if (exactText !== undefined && exact === undefined) warnings.push(unreadable('lfsazsync_mode', exactText));
  if (plain.mode === undefined || plain.key === undefined) {
    return exact === undefined ? undefined : { value: exact, style: 'lfsazsync' };
  }
  if (exact !== undefined && (plain.mode & 0o1777) === (exact & 0o1777)) return { value: exact, style: 'lfsazsync' };
  if (exact !== undefined) warnings.push(edited(plain.key, 'lfsazsync_mode'));
  return { value: plain.mode, style: styleOf(plain.key, keys) };
}

function styleOf(key: string, keys: Keys): ReadStyle {
  if (key === 'permissions') return keys.has('posix_owner') && !keys.has('owner') ? 'azcopy' : 'amlfs';
  if (key === 'perm') return 'lemur';
  return key.startsWith('hdi') || key.startsWith('asv') ? 'hadoop' : 'fsx';
}

/** Ours to the nanosecond, unless `modtime` was edited; then `modtime`; then FSx's. */
function readTime(keys: Keys, warnings: ReadWarning[]): Found<bigint> | undefined {
  const exact = timeAt(keys, 'lfsazsync_mtime', parseNanoseconds, warnings);
  const plain = timeAt(keys, 'modtime', readModtime, warnings);
  if (exact !== undefined && (plain === undefined || floorSeconds(exact) === floorSeconds(plain))) {
    return { value: exact, style: 'lfsazsync' };
  }
  if (exact !== undefined) warnings.push(edited('modtime', 'lfsazsync_mtime'));
  if (plain !== undefined) return { value: plain, style: keys.has('posix_owner') ? 'azcopy' : 'amlfs' };
  for (const key of fsxKeys('mtime')) {
    const value = timeAt(keys, key, parseFsxTime, warnings);
    if (value !== undefined) return { value, style: 'fsx' };
  }
  return undefined;
}

function timeAt(
  keys: Keys,
  key: string,
  parse: (text: string) => bigint | undefined,
  warnings: ReadWarning[],
): bigint | undefined {
  const text = keys.get(key);
  if (text === undefined || text === '') return undefined;
  const value = parse(text);
  if (value !== undefined && value < MAX_SECONDS * SECOND && value > -MAX_SECONDS * SECOND) return value;
  warnings.push(unreadable(key, text));
  return undefined;
}

/** `2006-01-02 15:04:05 -0700`, or AzCopy's nanoseconds. */
function readModtime(text: string): bigint | undefined {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : parseModtime(text);
}

/** Nanoseconds with their unit, milliseconds without. */
function parseFsxTime(text: string): bigint | undefined {
  const match = /^(-?\d{1,20})(ns)?$/.exec(text);
  if (match === null) return undefined;
  return BigInt(match[1] as string) * (match[2] === 'ns' ? 1n : 1_000_000n);
}

function floorSeconds(time: bigint): bigint {
  return (time - (((time % SECOND) + SECOND) % SECOND)) / SECOND;
}

function lastModified({ lastModified }: ReadBlob): bigint {
  const time = lastModified.getTime();
  return Number.isFinite(time) ? BigInt(Math.trunc(time)) * 1_000_000n : 0n;
}

function unreadable(key: string, value: string): ReadWarning {
  return { code: 'attribute-unreadable', detail: `${key} is ${JSON.stringify(value.slice(0, 200))}` };
}

function edited(key: string, exact: string): ReadWarning {
  return { code: 'attribute-edited', detail: `${key} differs from ${exact}: it was edited, and counts` };
}
