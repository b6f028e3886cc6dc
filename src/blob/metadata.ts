import { createHash } from 'node:crypto';
import { type BlobIdentity, blobIdentityOf, identityMetadata } from '../identity/blob-identity.ts';
import { encodeXattrs, type UserXattr, XATTR_KEY } from './xattrs.ts';

/** Metadata of a blob: keys and ASCII values. */
export type BlobMetadata = Record<string, string>;

/** What Lustre knows of an object and the container keeps. */
export interface ObjectAttributes {
  readonly uid: number;
  readonly gid: number;
  /** The low 12 bits of the mode, type bits are ignored. */
  readonly mode: number;
  /** Nanoseconds since the epoch; may be negative. */
  readonly mtime: bigint;
  /** Of files and directories, where they are kept (`metadata.xattrs`); undefined: nothing is said of them. */
  readonly userXattrs?: readonly UserXattr[] | undefined;
}

export interface MetadataInput {
  readonly attributes: ObjectAttributes;
  /** Its kind decides which keys there are. */
  readonly identity: BlobIdentity;
  /** Of a symlink: where it points to. */
  readonly target?: Buffer;
  /** Of a further hard link: the name of the blob that holds the content. */
  readonly linkTo?: string;
}

/** What the service allows for all keys and values of one blob, in bytes. */
export const MAX_METADATA_BYTES = 8192;

/**
 * The metadata of an object as the format reference has it. A value that does not fit the service's limit is left out
 * (a symlink's target: the body has it) or replaced by its hash (`lfsazsync_link_sha256`).
 */
export function metadataOf({ attributes, identity, target, linkTo }: MetadataInput): BlobMetadata {
  const { kind } = identity;
  const modtime = formatModtime(attributes.mtime);
  const metadata: BlobMetadata = {
    owner: String(attributes.uid),
    group: String(attributes.gid),
    ...(kind === 'symlink' ? {} : { permissions: formatPermissions(attributes.mode) }),
    ...(modtime === undefined ? {} : { modtime }),
    ...(kind === 'dir' ? { hdi_isfolder: 'true' } : {}),
    ...(kind === 'symlink' ? { ftype: 'LNK', is_symlink: 'true' } : {}),
    ...escapedIdentity(identity),
    lfsazsync_mode: octal(attributes.mode & 0o7777),
    lfsazsync_mtime: formatNanoseconds(attributes.mtime),
  };
  if (kind === 'file' || kind === 'dir') {
    const { text } = encodeXattrs(attributes.userXattrs ?? []);
    if (text !== undefined) metadata[XATTR_KEY] = text;
  }
  if (kind === 'symlink' && target !== undefined) addIfFits(metadata, 'symlink', percentEncode(target));
  if (
    kind === 'link' &&
    linkTo !== undefined &&
    !addIfFits(metadata, 'lfsazsync_link', percentEncode(Buffer.from(linkTo)))
  ) {
    metadata['lfsazsync_link_sha256'] = linkHash(linkTo);
  }
  return metadata;
}

/** What our own keys say. Keys that are missing or do not read are left out; keys of others are for the importer. */
export interface OwnMetadata {
  readonly identity?: BlobIdentity;
  readonly attributes: Partial<ObjectAttributes>;
  readonly target?: Buffer;
  readonly linkTo?: string;
  readonly linkToSha256?: string;
}

/** Reads what {@link metadataOf} writes, whatever the case of the keys. */
export function parseOwnMetadata(metadata: Readonly<BlobMetadata>): OwnMetadata {
  const keys = new Map(Object.entries(metadata).map(([key, value]) => [key.toLowerCase(), value]));
  const identity = identityFrom(metadata);
  const uid = decimal(keys.get('owner'));
  const gid = decimal(keys.get('group'));
  const mode = octalNumber(keys.get('lfsazsync_mode')) ?? octalNumber(keys.get('permissions'));
  const mtime = mtimeIn(keys);
  const target = keys.get('symlink');
  const link = keys.get('lfsazsync_link');
  const linkToSha256 = keys.get('lfsazsync_link_sha256');
  return {
    ...(identity === undefined ? {} : { identity }),
    attributes: {
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(mode === undefined ? {} : { mode }),
      ...(mtime === undefined ? {} : { mtime }),
    },
    ...(target === undefined ? {} : { target: percentDecode(target) }),
    ...(link === undefined ? {} : { linkTo: percentDecode(link).toString('utf8') }),
    ...(linkToSha256 === undefined ? {} : { linkToSha256 }),
  };
}

/** The modification time, nanoseconds since 1970, that keys in lower case say. */
export function mtimeIn(keys: ReadonlyMap<string, string>): bigint | undefined {
  return parseNanoseconds(keys.get('lfsazsync_mtime') ?? '') ?? parseModtime(keys.get('modtime') ?? '');
}

/** The identity that metadata read from the service declares: {@link blobIdentityOf}, with free text decoded. */
export function identityFrom(metadata: Readonly<BlobMetadata>): BlobIdentity | undefined {
  const identity = blobIdentityOf(metadata);
  if (identity?.from === undefined) return identity;
  return { ...identity, from: percentDecode(identity.from).toString('utf8') };
}

/**
 * `current` with the keys of `patch` set, or removed where the patch says undefined. Keys of others are kept as they
 * are; the same key in another case is replaced, as the service would see both as one.
 */
export function mergeMetadata(
  current: Readonly<BlobMetadata>,
  patch: Readonly<Record<string, string | undefined>>,
): BlobMetadata {
  const patched = new Set(Object.keys(patch).map((key) => key.toLowerCase()));
  const merged: BlobMetadata = {};
  for (const [key, value] of Object.entries(current)) if (!patched.has(key.toLowerCase())) merged[key] = value;
  for (const [key, value] of Object.entries(patch)) if (value !== undefined) merged[key] = value;
  // Where others have filled the metadata, users' extended attributes are what can be done without.
  if (metadataBytes(merged) > MAX_METADATA_BYTES) delete merged[XATTR_KEY];
  return merged;
}

/** As {@link metadataOf}, to be merged into what is there: what the file has not any more goes, if that is known. */
export function metadataPatch(input: MetadataInput): Record<string, string | undefined> {
  return { ...(input.attributes.userXattrs === undefined ? {} : { [XATTR_KEY]: undefined }), ...metadataOf(input) };
}

/** Bytes that the service counts against {@link MAX_METADATA_BYTES}: all names and values. */
export function metadataBytes(metadata: Readonly<BlobMetadata>): number {
  return Object.entries(metadata).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
}

/** Why the service would refuse this metadata, or undefined. */
export function metadataProblem(metadata: Readonly<BlobMetadata>): string | undefined {
  for (const [key, value] of Object.entries(metadata)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) return `the metadata key ${JSON.stringify(key)} is not an identifier`;
    if (!/^[\x20-\x7e]*$/.test(value)) return `the value of the metadata key ${key} is not ASCII`;
  }
  const bytes = metadataBytes(metadata);
  return bytes > MAX_METADATA_BYTES ? `the metadata has ${bytes} bytes; Azure allows ${MAX_METADATA_BYTES}` : undefined;
}

/** Whether `linkTo` is the name that a hard-link marker speaks of, by name or by hash. */
export function linkHash(linkTo: string): string {
  return createHash('sha256').update(linkTo).digest('hex');
}

/** Everything but visible ASCII, and the percent sign, as `%` and two upper-case hexadecimal digits. */
export function percentEncode(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) {
    const visible = byte > 0x20 && byte < 0x7f && byte !== 0x25;
    text += visible ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** Reads what {@link percentEncode} writes; a percent sign without two digits stands for itself. */
export function percentDecode(text: string): Buffer {
  const latin1 = Buffer.from(text, 'utf8').toString('latin1');
  return Buffer.from(
    latin1.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  );
}

/** `2006-01-02 15:04:05 +0000`: whole seconds in UTC. Undefined for years that four digits can't say. */
export function formatModtime(mtime: bigint): string | undefined {
  const seconds = floorSeconds(mtime);
  if (seconds < -62_135_596_800n || seconds > 253_402_300_799n) return undefined;
  const iso = new Date(Number(seconds) * 1000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} +0000`;
}

/** Nanoseconds from the form of {@link formatModtime}, with any offset. */
export function parseModtime(text: string): bigint | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const milliseconds = Date.parse(`${match[1]}T${match[2]}${match[3]}:${match[4]}`);
  return Number.isNaN(milliseconds) ? undefined : BigInt(milliseconds) * 1_000_000n;
}

/** `seconds.nanoseconds`: seconds rounded down (so negative before 1970), always nine digits after the dot. */
export function formatNanoseconds(time: bigint): string {
  const seconds = floorSeconds(time);
  return `${seconds}.${(time - seconds * 1_000_000_000n).toString().padStart(9, '0')}`;
}

/** Reads what {@link formatNanoseconds} writes. */
export function parseNanoseconds(text: string): bigint | undefined {
  const match = /^(-?\d{1,18})\.(\d{9})$/.exec(text);
  return match === null ? undefined : BigInt(match[1] as string) * 1_000_000_000n + BigInt(match[2] as string);
}

function floorSeconds(time: bigint): bigint {
  const seconds = time / 1_000_000_000n;
  return time < 0n && seconds * 1_000_000_000n !== time ? seconds - 1n : seconds;
}

// Azure Managed Lustre's importer takes [0-1][0-7]{3} and nothing else: setuid and setgid are in lfsazsync_mode only.
function formatPermissions(mode: number): string {
  return octal(mode & 0o1777);
}

function octal(value: number): string {
  return value.toString(8).padStart(4, '0');
}

function octalNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-7]{3,4}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function decimal(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 0xffffffff ? value : undefined;
}

function escapedIdentity(identity: BlobIdentity): BlobMetadata {
  const { from, ...rest } = identity;
  return identityMetadata(from === undefined ? rest : { ...rest, from: percentEncode(Buffer.from(from)) });
}

function addIfFits(metadata: BlobMetadata, key: string, value: string): boolean {
  if (metadataBytes(metadata) + key.length + value.length > MAX_METADATA_BYTES) return false;
  metadata[key] = value;
  return true;
}
