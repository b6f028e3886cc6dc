import { isUtf8 } from 'node:buffer';

/** How the helper's protocol names bytes: `path` when they are valid UTF-8, `path_b64` otherwise. */
export interface PathField {
  readonly path?: string;
  readonly path_b64?: string;
}

/** The bytes of a name or path in a reply; undefined when the reply has none. */
export function pathFromField(field: PathField): Buffer | undefined {
  if (field.path !== undefined) return Buffer.from(field.path, 'utf8');
  if (field.path_b64 !== undefined) return Buffer.from(field.path_b64, 'base64');
  return undefined;
}

/** The field that carries these bytes in a request. */
export function fieldOfPath(path: Buffer): PathField {
  return isUtf8(path) ? { path: path.toString('utf8') } : { path_b64: path.toString('base64') };
}

/** A name in a list of the protocol: a string when it is valid UTF-8. */
export type WireName = string | { readonly b64: string } | null;

/** Its bytes; null when there is none. */
export function bytesOfName(name: WireName): Buffer | null {
  if (name === null) return null;
  return typeof name === 'string' ? Buffer.from(name, 'utf8') : Buffer.from(name.b64, 'base64');
}
