import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface MountEntry {
  readonly mountPoint: string;
  readonly fsType: string;
  readonly source: string;
  /** `major:minor` of the mounted file system. */
  readonly device: string;
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** What is mounted, the newest last, from /proc/self/mountinfo. */
export function mounts(): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [left, right] = line.split(' - ');
    const fields = left?.split(' ');
    const [fsType, source] = right?.split(' ') ?? [];
    const [device, mountPoint] = [fields?.[2], fields?.[4]];
    if (device === undefined || mountPoint === undefined || fsType === undefined || source === undefined) continue;
    entries.push({ device, mountPoint: unescapeOctal(mountPoint), fsType, source: unescapeOctal(source) });
  }
  return entries;
}

/** The newest mount at exactly this mount point. */
export function mountAt(mountPoint: string): MountEntry | undefined {
  return mounts().findLast((entry) => entry.mountPoint === mountPoint);
}

/**
 * Ends a FUSE connection, so that everything that hangs in its file system gets an error. Nothing else frees a
 * process that waits uninterruptibly for a daemon that has died or hangs.
 */
export function abortFuse(mountPoint: string): void {
  const entry = mountAt(mountPoint);
  if (entry === undefined || !entry.fsType.startsWith('fuse')) return;
  const control = `/sys/fs/fuse/connections/${entry.device.split(':')[1]}/abort`;
  try {
    if (existsSync(control)) writeFileSync(control, '1');
  } catch {
    // fusectl may be read-only or not mounted (containers); the lazy unmount below still detaches the tree.
  }
}

/**
 * Unmounts everything at `mountPoint`, also a mount whose daemon has died and one that is in use. Only FUSE mounts:
 * a real Lustre that a mistake put here stays.
 */
export async function unmountFuse(mountPoint: string): Promise<void> {
  for (let tries = 0; tries < 8; tries++) {
    const entry = mountAt(mountPoint);
    if (entry === undefined) return;
    if (!entry.fsType.startsWith('fuse'))
      throw new Error(`${mountPoint} is a ${entry.fsType} mount, not a stand-in's: left alone`);
    if (tries > 0) abortFuse(mountPoint);
    await run('umount', tries === 0 ? [mountPoint] : ['-l', mountPoint], { timeout: 20_000 }).catch(() => undefined);
  }
  if (mountAt(mountPoint) !== undefined) throw new Error(`cannot unmount ${mountPoint}`);
}
