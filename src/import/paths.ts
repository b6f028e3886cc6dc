const SLASH = 0x2f;

/** Paths as keys: one character for each byte. */
export const keyOf = (path: Buffer): string => path.toString('latin1');

/** The directory of a path; '' for the root's children. */
export function parentKey(key: string): string {
  const slash = key.lastIndexOf('/');
  return slash === -1 ? '' : key.slice(0, slash);
}

/** The last name of a path. */
export function nameOf(key: string): Buffer {
  return Buffer.from(key.slice(key.lastIndexOf('/') + 1), 'latin1');
}

/** A path below a directory; an empty directory is the root. */
export function under(directory: Buffer, path: Buffer): Buffer {
  return directory.length === 0 ? path : Buffer.concat([directory, Buffer.of(SLASH), path]);
}

/** The directories above a path, outermost first, without the root. */
export function ancestors(key: string): string[] {
  const above: string[] = [];
  for (let slash = key.indexOf('/'); slash !== -1; slash = key.indexOf('/', slash + 1)) above.push(key.slice(0, slash));
  return above;
}

export const depthOf = (key: string): number => {
  let depth = 1;
  for (let slash = key.indexOf('/'); slash !== -1; slash = key.indexOf('/', slash + 1)) depth += 1;
  return depth;
};
