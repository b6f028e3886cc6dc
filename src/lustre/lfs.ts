import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fid } from '../identity/fid.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { run } from '../service/run.ts';
import { ERRNO, errnoText } from './errno.ts';
import { fidPath } from './file-system.ts';

export type RequestAction = 'archive' | 'restore' | 'release' | 'remove' | 'cancel';

export interface HsmRequest {
  readonly action: RequestAction;
  readonly fids: readonly Fid[];
  /** The mount point, canonical. */
  readonly mount: string;
  /** Archive id, for archive and remove; undefined: the file's own, or Lustre's default. */
  readonly archive?: number | undefined;
  /** Opaque data for the copytool. It takes room in the request: fewer files fit. */
  readonly data?: string | undefined;
  /** The files are unlinked (remove only): name them by FID without looking for them. */
  readonly unlinked?: boolean;
  /** The `lfs` program; by default the one in PATH. */
  readonly lfs?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `lfs` shows its usage with this status, for instead of a file that is not regular. */
const USAGE_STATUS = 4;
/** A release waits for clients to write back; everything else is answered at once. */
const TIMEOUT = 600_000;

/**
 * One `lfs hsm_*` call for many files. It resolves when the coordinator took them all (for a release: when they are
 * released). Rejects with an ErrnoError whose errno is `lfs`'s status: E2BIG (more than about 52 files, nothing was
 * queued), ENOENT (a file vanished, nothing was queued), EPERM (a file's state does not allow it, or not root; those
 * before it may have been queued), EAGAIN (the coordinator is shut down).
 */
export async function hsmRequest(request: HsmRequest): Promise<void> {
  if (request.fids.length === 0) return;
  const folder = await mkdtemp(join(tmpdir(), 'lfsazsync-'));
  try {
    const list = join(folder, 'files');
    await writeFile(list, fileList(request), { mode: 0o600, flag: 'wx' });
    await send(request, argumentsFor(request, list));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The file list: a path by FID a line, so that no name, whatever is in it, can break it. */
export function fileList(request: Pick<HsmRequest, 'fids' | 'mount' | 'unlinked'>): string {
  const lines = request.unlinked ? request.fids : request.fids.map((fid) => fidPath(request.mount, fid));
  return `${lines.join('\n')}\n`;
}

/** The arguments of `lfs`, for a list at this place. */
export function argumentsFor(request: HsmRequest, list: string): string[] {
  const args = [`hsm_${request.action}`];
  if (request.archive !== undefined) args.push('--archive', String(request.archive));
  if (request.data !== undefined) args.push('--data', request.data);
  if (request.unlinked) args.push('--mntpath', request.mount);
  return [...args, '--filelist', list];
}

async function send(request: HsmRequest, args: readonly string[]): Promise<void> {
  const what = `lfs hsm_${request.action}`;
  if (request.mount.includes('\n'))
    throw new ErrnoError(ERRNO.EINVAL, what, 'the mount point has a newline in its name');
  const result = await run(request.lfs ?? 'lfs', args, { timeout: TIMEOUT, signal: request.signal, ownSession: true });
  if (result.code === 0) return;
  const said = result.stderr.trim().split('\n').at(-1) ?? '';
  const errno = result.code === USAGE_STATUS ? ERRNO.EINVAL : result.code;
  throw new ErrnoError(errno, what, `${what}: ${said === '' ? errnoText(errno) : said}`);
}

/** The version of the Lustre client's programs, such as `2.15.5`. */
export async function lfsVersion(lfs = 'lfs'): Promise<string> {
  const { stdout, code } = await run(lfs, ['--version'], { timeout: 30_000 });
  const text = stdout.toString('utf8');
  const version = /(\d+\.\d+[\w.-]*)/.exec(text)?.[1];
  if (code === 0 && version !== undefined) return version;
  throw new OperatorError(`\`${lfs} --version\` said nothing of use: ${text.trim().slice(0, 200)}`, {
    code: 'LFS_UNFIT',
    hint: 'See that the setting `lfs` names Lustre’s program of that name.',
  });
}

/** The MDTs that the client of a mount knows, such as `lustrefs-MDT0000`, in the order of their indexes. */
export async function listMdts(mount: string, lfs = 'lfs'): Promise<string[]> {
  const { stdout, stderr, code } = await run(lfs, ['mdts', mount], { timeout: 30_000 });
  const mdts = [...stdout.toString('utf8').matchAll(/^\d+: (\S+-MDT[0-9a-f]{4})_UUID /gm)].map(([, mdt]) => mdt ?? '');
  if (code === 0 && mdts.length > 0) return mdts;
  throw new OperatorError(`\`${lfs} mdts ${mount}\` named no MDT: ${stderr.trim().slice(0, 200)}`, {
    code: 'NO_MDT',
    hint: 'Is the file system mounted? The setting `mdts` can name them instead.',
  });
}
