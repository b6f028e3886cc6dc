import { LustreFiles } from './attributes.ts';
import { UUID_XATTR } from './file-system.ts';
import { HelperProcess } from './helper.ts';

/** What is mounted, as far as a look from outside tells. */
export interface MountState {
  readonly fsname: string;
  /** Of the client's library. */
  readonly llapi: string;
  /** Ours of the file system; null when it was given none yet. */
  readonly uuid: string | null;
}

export interface ProbeOptions {
  readonly mount: string;
  readonly liblustreapi?: string | undefined;
  readonly helper?: string | undefined;
  /** Milliseconds until an answer must be there; then the helper is killed. */
  readonly patience: number;
}

/**
 * Looks at the mount by way of a helper, so that a file system that hangs holds up a process that can be left.
 * Rejects with an OperatorError when it is not Lustre, with the helper's error when it was killed for its silence.
 */
export async function readMountState({ mount, patience, ...options }: ProbeOptions): Promise<MountState> {
  return await withHelper({ ...options, mount, mode: 'attrs' }, patience, async (helper) => {
    const root = await new LustreFiles(helper).get(
      { path: Buffer.from(mount) },
      { parts: ['xattrs'], xattrs: [UUID_XATTR] },
    );
    const uuid = root.xattrs?.get(UUID_XATTR)?.toString('utf8') ?? null;
    return { fsname: helper.hello.fsname, llapi: helper.hello.llapi, uuid };
  });
}

/** Closes the helper when the work is done, or when the time is up: then what is asked of it fails. */
async function withHelper<T>(
  options: Parameters<typeof HelperProcess.start>[0],
  patience: number,
  work: (helper: HelperProcess) => Promise<T>,
): Promise<T> {
  const helper = await HelperProcess.start({ ...options, startTimeout: patience, closeTimeout: 1 });
  const late = setTimeout(() => void helper.close(), patience);
  try {
    return await work(helper);
  } finally {
    clearTimeout(late);
    void helper.close();
  }
}
