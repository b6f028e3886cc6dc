/** An extended attribute of a user's; without a value: it is longer than any metadata. */
export interface UserXattr {
  readonly name: Buffer;
  readonly value?: Buffer | undefined;
}

export const XATTR_KEY = 'lfsazsync_xattr';

/** Half of what a blob's metadata may have: the rest is for names, links and keys of others. */
const MOST_BYTES = 4096;

/** What users may set. Whatever else a stranger's metadata name (`trusted.lov`) is never given to a file. */
const USERS = /^(?:user\..+|system\.posix_acl_(?:access|default))$/s;

export interface EncodedXattrs {
  /** Undefined: there is nothing to be said. */
  readonly text: string | undefined;
  /** How many did not fit. */
  readonly leftOut: number;
}

/** Each look at a file asks several times: whether all fit, and what is to be written of it. Lists are never changed. */
const encoded = new WeakMap<readonly UserXattr[], EncodedXattrs>();

/**
 * `name=value,name=value`: names percent-encoded (comma and equals sign, too), values in base64 without padding. ACLs
 * first, then by name, so that the same attributes always give the same text; each one that does not fit is left out.
 */
export function encodeXattrs(xattrs: readonly UserXattr[]): EncodedXattrs {
  const known = encoded.get(xattrs);
  if (known !== undefined) return known;
  const made = encode(xattrs);
  encoded.set(xattrs, made);
  return made;
}

function encode(xattrs: readonly UserXattr[]): EncodedXattrs {
  const fits: string[] = [];
  let bytes = 0;
  let leftOut = 0;
  for (const { name, value } of [...xattrs].sort((a, b) => Buffer.compare(a.name, b.name))) {
    const one = value === undefined ? undefined : `${encodeName(name)}=${base64(value)}`;
    if (one === undefined || bytes + one.length + 1 > MOST_BYTES) {
      leftOut += 1;
      continue;
    }
    bytes += one.length + 1;
    fits.push(one);
  }
  return { text: fits.length === 0 ? undefined : fits.join(','), leftOut };
}

/** Reads what {@link encodeXattrs} writes; what does not read, or is no user's to set, is passed over. */
export function decodeXattrs(text: string): Required<UserXattr>[] {
  return text.split(',').flatMap((one) => {
    const match = /^([^=]+)=([A-Za-z0-9+/]*)$/.exec(one);
    if (match === null) return [];
    const name = decodeName(match[1] as string);
    if (name.length > 255 || name.includes(0) || !USERS.test(name.toString('latin1'))) return [];
    return [{ name, value: Buffer.from(match[2] as string, 'base64') }];
  });
}

const base64 = (value: Buffer) => value.toString('base64').replace(/=+$/, '');

function encodeName(name: Buffer): string {
  let text = '';
  for (const byte of name) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x2c && byte !== 0x3d;
    text += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

function decodeName(text: string): Buffer {
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(bytes, 'latin1');
}

/** What a blob says of extended attributes, as {@link encodeXattrs} writes it. Keys are read in any case. */
export function readXattrs(metadata: Readonly<Record<string, string>>): string | undefined {
  for (const key in metadata) if (key.toLowerCase() === XATTR_KEY && metadata[key] !== '') return metadata[key];
  return undefined;
}
