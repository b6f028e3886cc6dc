import { readFile } from 'node:fs/promises';

/** A line of /proc/self/mounts. */
export interface MountEntry {
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** Blanks and the like in names are undone (proc(5)). */
const plain = (word: string) =>
  word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** What is mounted, in the order in which it was. */
export function parseMounts(text: string): MountEntry[] {
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

/**
 * Which mount is on top at this very place, as a text that no other one has while somebody holds it open; undefined:
 * nothing is mounted there. The file system itself is not asked, so one that hangs does not matter.
 */
export async function topMountAt(mountPoint: string): Promise<string | undefined> {
  let top: string | undefined;
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const [id, , device, , place] = line.split(' ');
    if (place !== undefined && plain(place) === mountPoint) top = `${id} ${device}`;
  }
  return top;
}
