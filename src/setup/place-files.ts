import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OUR_MARK, type SystemFile } from './system-files.ts';

/** What was done, or with a dry run would be done, with a file. */
export type FileChange = 'created' | 'replaced' | 'unchanged' | 'removed' | 'absent' | 'foreign';

export interface PlacedFile {
  readonly path: string;
  readonly change: FileChange;
}

export interface PlaceOptions {
  /** Put before every path: a scratch root for tests and packages. */
  readonly root: string;
  /** Says what would be done. */
  readonly dryRun: boolean;
}

/** Makes the files what they should be. A file that others wrote in such a place is left as it is: `foreign`. */
export async function placeFiles(files: readonly SystemFile[], options: PlaceOptions): Promise<PlacedFile[]> {
  const placed: PlacedFile[] = [];
  for (const file of files) placed.push({ path: file.path, change: await place(file, options) });
  return placed;
}

/** Takes the files away again, as far as we wrote them. */
export async function removeFiles(files: readonly SystemFile[], options: PlaceOptions): Promise<PlacedFile[]> {
  const removed: PlacedFile[] = [];
  for (const { path } of files) {
    const at = join(options.root, path);
    const there = await contentOf(at);
    const change: FileChange = there === undefined ? 'absent' : there.startsWith(OUR_MARK) ? 'removed' : 'foreign';
    if (change === 'removed' && !options.dryRun) await rm(at);
    removed.push({ path, change });
  }
  return removed;
}

async function place({ path, mode, content }: SystemFile, { root, dryRun }: PlaceOptions): Promise<FileChange> {
  const at = join(root, path);
  const there = await contentOf(at);
  if (there !== undefined && !there.startsWith(OUR_MARK)) return 'foreign';
  if (there === content && ((await stat(at)).mode & 0o7777) === mode) return 'unchanged';
  if (!dryRun) await write(at, content, mode);
  return there === undefined ? 'created' : 'replaced';
}

/** Nobody ever sees half of it. */
async function write(path: string, content: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const fresh = `${path}.lfsazsync-new`;
  const file = await open(fresh, 'w', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(fresh, mode);
  await rename(fresh, path);
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
