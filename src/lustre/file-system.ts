import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import type { Fid } from '../identity/fid.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { LustreFiles } from './attributes.ts';
import { ERRNO } from './errno.ts';
import { HelperProcess } from './helper.ts';
import { canonicalMount } from './location.ts';
import { topMountAt } from './mount-table.ts';
import { SteadyHelper } from './steady-helper.ts';

/** Our UUID of the file system, on its root. */
export const UUID_XATTR = 'trusted.lfsazsync_fs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export interface FileSystemOptions {
  /** The mount point of the Lustre client. */
  readonly mount: string;
  readonly liblustreapi?: string | undefined;
  readonly helper?: string | undefined;
  readonly threads?: number | undefined;
  /** Whether users' extended attributes come with what `files.get` says of a file. */
  readonly xattrs?: boolean | undefined;
  readonly onDiagnostic?: (line: string) => void;
}

interface Opened {
  readonly helper: HelperProcess;
  readonly root: Fid;
  readonly top: string | undefined;
  readonly start: () => Promise<HelperProcess>;
  /** Its directory of all files by their FIDs. */
  readonly byFid: FileHandle;
  readonly keepsXattrs?: boolean | undefined;
}

function changed(message: string, cause?: unknown): OperatorError {
  return new OperatorError(message, {
    code: 'FILE_SYSTEM_CHANGED',
    hint: 'Mount the right one, and start this again; nothing was taken for deleted.',
    cause,
  });
}

/** A mounted Lustre file system, with a helper at work on it. Close it. */
export class LustreFileSystem {
  /** The mount point, canonical: without symlinks and trailing slash. */
  readonly mount: string;
  readonly fsname: string;
  readonly files: LustreFiles;
  /** Of the mount point itself; the same on every Lustre, unless only a part of one is mounted. */
  readonly root: Fid;
  readonly #helper: SteadyHelper;
  readonly #start: () => Promise<HelperProcess>;
  readonly #byFid: FileHandle;
  /** What was seen at the mount point last; undefined where it is no mount point by its name (in a chroot, say). */
  #top: string | undefined;
  #check: Promise<void> | undefined;

  constructor(mount: string, { helper, root, top, start, byFid, keepsXattrs = false }: Opened) {
    this.mount = mount;
    this.#top = top;
    this.#start = start;
    this.#byFid = byFid;
    this.fsname = helper.hello.fsname;
    this.#helper = new SteadyHelper(helper, () => this.#startAgain());
    this.files = new LustreFiles(this.#helper, keepsXattrs);
    this.root = root;
  }

  /** Its helper as it is now: one that dies is started again. */
  get helper(): HelperProcess {
    return this.#helper.process;
  }

  /** Rejects when the helper could not be started again. */
  get gone(): Promise<never> {
    return this.#helper.gone;
  }

  /** Where a file is by its FID, whatever its name is now: for programs, which look it up at the mount point. */
  fidPath(fid: Fid): string {
    return fidPath(this.mount, fid);
  }

  /**
   * Where this process opens a file by its FID, to read or write its data. It goes by a descriptor, not by the mount point: FIDs
   * repeat between file systems, and one that was mounted over this one meanwhile would show another file, even to be written to.
   */
  dataPath(fid: Fid): string {
    return `/proc/self/fd/${this.#byFid.fd}/${fid}`;
  }

  /**
   * Whether programs that are started now see at the mount point the very mount that this works on.
   * @throws OperatorError FILE_SYSTEM_CHANGED
   */
  async mustBeShown(): Promise<void> {
    if ((await topMountAt(this.mount)) === this.#top) return;
    const [held, shown] = await Promise.all([this.#byFid.stat(), lstat(byFidAt(this.mount)).catch(() => undefined)]);
    if (shown?.dev !== held.dev) throw changed(`Another file system, or none, is mounted at ${this.mount} by now.`);
  }

  /** A helper in the place of one that died: it must not go on with what was mounted over the file system meanwhile. */
  async #startAgain(): Promise<HelperProcess> {
    const helper = await this.#start();
    try {
      await this.mustBeShown();
      return helper;
    } catch (error) {
      await helper.close();
      throw error;
    }
  }

  /** Our UUID of this file system; undefined when it has none yet. */
  readUuid(): Promise<string | undefined> {
    return this.#uuidBy(this.files);
  }

  /**
   * Whether the mount point still shows this file system. The helper holds the one that it was started on, so what is
   * mounted over it, or that it was taken away, shows nowhere else; and programs that are started anew would see the other one.
   * The same file system mounted once more is fine.
   * @throws OperatorError FILE_SYSTEM_CHANGED
   */
  async mustBeMounted(): Promise<void> {
    if (this.#top === undefined) return;
    this.#check ??= this.#lookAtMount().finally(() => {
      this.#check = undefined;
    });
    await this.#check;
  }

  async #lookAtMount(): Promise<void> {
    const top = await topMountAt(this.mount);
    if (top === this.#top) return;
    if (top === undefined) throw changed(`The file system at ${this.mount} was unmounted.`);
    const helper = await this.#start().catch((error: unknown) => {
      throw changed(`Something else was mounted over ${this.mount}, and is no Lustre file system.`, error);
    });
    try {
      const [ours, there] = [await this.readUuid(), await this.#uuidBy(new LustreFiles(helper))];
      if (ours === undefined || there !== ours)
        throw changed(
          `Another file system was mounted over ${this.mount}: ${there ?? 'without a UUID of ours'}, not ${ours}.`,
        );
    } finally {
      await helper.close();
    }
    this.#top = top;
  }

  async #uuidBy(files: LustreFiles): Promise<string | undefined> {
    const root = await files.get({ fid: this.root }, { parts: ['xattrs'], xattrs: [UUID_XATTR] });
    const failed = root.errors.get('xattrs');
    if (failed !== undefined) throw new ErrnoError(failed, `reading ${UUID_XATTR} of ${this.mount}`);
    const value = root.xattrs?.get(UUID_XATTR)?.toString('utf8');
    if (value === undefined || UUID.test(value)) return value;
    throw new OperatorError(`${UUID_XATTR} on ${this.mount} is not a UUID: ${JSON.stringify(value)}`, {
      code: 'UUID_BROKEN',
      hint: 'Something else wrote it. Compare with the container’s control blob (`.lfsazsync/control`) before you correct it.',
    });
  }

  /** Gives the file system its UUID. Rejects with EEXIST when another was faster: read it then. */
  async writeUuid(uuid: string): Promise<void> {
    if (!UUID.test(uuid)) throw new RangeError(`not a UUID: ${uuid}`);
    await this.files.setXattr(this.root, UUID_XATTR, Buffer.from(uuid, 'utf8'), 1);
  }

  async close(): Promise<void> {
    await this.#helper.close();
    await this.#byFid.close();
  }
}

/** `<mount>/.lustre/fid/<FID>`, for open, stat, and Lustre's own programs. */
export function fidPath(mount: string, fid: Fid): string {
  return `${byFidAt(mount)}/${fid}`;
}

const byFidAt = (mount: string) => `${mount === '/' ? '' : mount}/.lustre/fid`;

/** Holds a file system's directory of all files by their FIDs, as it is at the mount point. */
async function openByFid(mount: string, fsname: string): Promise<FileHandle> {
  return await open(byFidAt(mount), constants.O_RDONLY | constants.O_DIRECTORY).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.errno !== -ERRNO.ENOENT) throw error;
      throw new OperatorError(`${mount} has no .lustre/fid: only a part of the file system is mounted there.`, {
        code: 'SUBDIRECTORY_MOUNT',
        hint: `Mount the file system itself (${fsname} without a directory after it).`,
      });
    },
  );
}

/**
 * Starts a helper on the mount. Rejects with an OperatorError when it is not Lustre, its library is missing, or only a
 * sub-directory of the file system is mounted (files can't be opened by FID there).
 */
export async function openFileSystem(options: FileSystemOptions): Promise<LustreFileSystem> {
  const mount = await canonicalMount(options.mount);
  const start = () => HelperProcess.start({ ...options, mount, mode: 'attrs' });
  const top = await topMountAt(mount);
  const helper = await start();
  try {
    const root = await new LustreFiles(helper).get({ path: Buffer.from(mount) }, { parts: ['stat'] });
    const byFid = await openByFid(mount, helper.hello.fsname);
    if ((await topMountAt(mount)) !== top) {
      await byFid.close();
      throw changed(`Something was mounted, or unmounted, at ${mount} just now.`);
    }
    return new LustreFileSystem(mount, { helper, root: root.fid, top, start, byFid, keepsXattrs: options.xattrs });
  } catch (error) {
    await helper.close();
    throw error;
  }
}
