import { readFile } from 'node:fs/promises';

/** A line of /proc/self/mounts. */
export interface MountEntry {
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** What is mounted, in the order in which it was. Blanks and the like in names are undone (proc(5)). */
export function parseMounts(text: string): MountEntry[] {
  const plain = (word: string) =>
    word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text.split('\n').flatMap((line) => {
    const [device, mountPoint, type, options] = line.split(' ');
    if (device === undefined || mountPoint === undefined || type === undefined || options === undefined) return [];
    return [{ device: plain(device), mountPoint: plain(mountPoint), type, options: options.split(',') }];
  });
}

/** What is mounted at this very place now; undefined: nothing. */
export async function mountedAt(mountPoint: string): Promise<MountEntry | undefined> {
  const all = parseMounts(await readFile('/proc/self/mounts', 'utf8'));
  // What was mounted last covers what was there before.
  return all.findLast((entry) => entry.mountPoint === mountPoint);
}
