import type { BlobKind } from '../identity/blob-identity.ts';
import { parseOwnMetadata } from './metadata.ts';
import { type FileType, readPermissions } from './reading-permissions.ts';
import type { ReadBlob, ReadLink, ReadWarning, RefusalCode, Refused } from './reading-types.ts';

type LinkPlace = Pick<ReadLink, 'linkTo' | 'linkToSha256' | 'of'>;

type ReadKind =
  | { readonly kind: Exclude<BlobKind, 'link'>; readonly warnings: readonly ReadWarning[] }
  | { readonly kind: 'link'; readonly link: LinkPlace; readonly warnings: readonly ReadWarning[] }
  | Refused;

type Keys = ReadonlyMap<string, string>;

/**
 * File, directory, symlink or link. Our own word counts most; then the folder flag, over everything that says symlink;
 * then type bits, where a mode has them.
 */
export function readKind(blob: ReadBlob, keys: Keys, slash: boolean): ReadKind {
  if (slash) return { kind: 'dir', warnings: [] };
  if (blob.identity?.kind === 'link') return { kind: 'link', link: linkPlace(blob), warnings: [] };
  if (blob.identity !== undefined) return { kind: blob.identity.kind, warnings: [] };
  // AzCopy compares bits and not types, so a symlink says is_char_dev, a block device and a socket say hdi_isfolder.
  const symlink = isTrue(keys.get('is_symlink'));
  for (const [key, what] of SPECIAL) {
    if (isTrue(keys.get(key)) && !(key === 'is_char_dev' && symlink)) return special(what);
  }
  const warnings: ReadWarning[] = [];
  if (isFolder(keys, warnings)) return { kind: 'dir', warnings };
  if (symlink || isLink(keys, warnings)) return { kind: 'symlink', warnings };
  const type = readPermissions(keys).type ?? 'file';
  return type === 'special' ? special('neither file, directory nor symlink') : { kind: type, warnings };
}

const SPECIAL = [
  ['is_block_dev', 'a block device'],
  ['is_socket', 'a socket'],
  ['is_fifo', 'a fifo'],
  ['is_char_dev', 'a character device'],
] as const;

/** `asv_` is how Hadoop called it first. */
function isFolder(keys: Keys, warnings: ReadWarning[]): boolean {
  for (const key of ['hdi_isfolder', 'asv_isfolder']) {
    const value = keys.get(key);
    if (isTrue(value)) return true;
    if (value !== undefined && value !== '' && value.toLowerCase() !== 'false') warnings.push(unknown(key, value));
  }
  return false;
}

function isLink(keys: Keys, warnings: ReadWarning[]): boolean {
  const ftype = keys.get('ftype') ?? '';
  if (ftype.toUpperCase() === 'LNK') return true;
  if (ftype !== '') warnings.push(unknown('ftype', ftype));
  return false;
}

function linkPlace({ identity, metadata }: ReadBlob): LinkPlace {
  const { linkTo, linkToSha256 } = parseOwnMetadata(metadata);
  const { fs, fid } = identity as NonNullable<ReadBlob['identity']>;
  return {
    ...(linkTo === undefined ? {} : { linkTo }),
    ...(linkToSha256 === undefined ? {} : { linkToSha256 }),
    of: { fs, fid },
  };
}

/** Why the content can't be had, or is not there yet; undefined when it can be read. */
export function contentProblem(blob: ReadBlob, keys: Keys, kind: FileType | 'link'): Refused | undefined {
  if (blob.customerKey !== undefined) {
    return refuse(
      'customer-key',
      'it is encrypted with a key that its writer sends along; the service reads it for nobody else',
    );
  }
  if (kind === 'dir' || kind === 'link') return undefined;
  if (blob.copyStatus === 'pending') return refuse('copy-pending', 'the service is still copying it');
  if (blob.copyStatus === 'failed' || blob.copyStatus === 'aborted') {
    return refuse('copy-failed', `its server-side copy is ${blob.copyStatus}: it has not the content that it should`);
  }
  if (keys.has('encryptiondata')) return refuse('client-encrypted', 'its writer encrypted it before uploading');
  const unfinished = keys.get('hdi_tmpupload') ?? keys.get('asv_tmpupload') ?? '';
  if (unfinished !== '' && blob.length === 0n) {
    return refuse('upload-unfinished', 'Hadoop stands it for a file that is still being written elsewhere');
  }
  return undefined;
}

function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === 'true';
}

function special(what: string): Refused {
  return refuse('special-file', `it stands for ${what}`);
}

function unknown(key: string, value: string): ReadWarning {
  return { code: 'type-unknown', detail: `${key} is ${JSON.stringify(value)}` };
}

function refuse(reason: RefusalCode, detail: string): Refused {
  return { kind: 'refused', reason, detail };
}
