const SLASH = Buffer.from('/');

/** `directory/name`, in bytes. In the root of a file system (an empty path) the name alone; `/` gets no second slash. */
export function joinBytes(directory: Buffer, name: Uint8Array): Buffer {
  if (directory.length === 0) return Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  return Buffer.concat(directory.at(-1) === SLASH[0] ? [directory, name] : [directory, SLASH, name]);
}
