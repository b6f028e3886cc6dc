import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OUR_MARK, type SystemFile } from './system-files.ts';
import type { Finding } from './types.ts';

/** The name that a unit's first line says. */
const OWN_NAME = new RegExp(`^${OUR_MARK}\\. Change it with \`systemctl edit ([^\`]+)\``);

/** The file is there with this content and mode, unless somebody else wrote it. */
export async function lookAtFile({ path, mode, content }: SystemFile, root: string): Promise<Finding> {
  const at = join(root, path);
  const finding = { step: 'file', subject: path };
  const there = await contentOf(at);
  if (there !== undefined && !there.startsWith(OUR_MARK))
    return { ...finding, detail: 'stays: it was not written by lfsazsync' };
  if (there === content && ((await stat(at)).mode & 0o7777) === mode) return { ...finding, detail: 'is up to date' };
  const isNew = there === undefined;
  return {
    ...finding,
    detail: isNew ? 'write it' : 'bring it up to date',
    apply: async () => {
      await write(at, content, mode);
      return isNew ? 'written' : 'brought up to date';
    },
  };
}

/** The file is not there, unless somebody else wrote it. @param why behind what is to be done */
export async function lookAtRemoval(path: string, root: string, why = ''): Promise<Finding> {
  const at = join(root, path);
  const finding = { step: 'file', subject: path };
  const there = await contentOf(at);
  if (there === undefined) return { ...finding, detail: 'is not there' };
  if (!there.startsWith(OUR_MARK)) return { ...finding, detail: 'stays: it was not written by lfsazsync' };
  return {
    ...finding,
    detail: `remove it${why}`,
    apply: async () => {
      await rm(at, { force: true });
      return `removed${why}`;
    },
  };
}

/**
 * Paths of units that are ours, beside these, and none of these: another version wrote them. Ours are those whose mark
 * says their own name: one that was copied to another name, for a second file system, is not.
 */
export async function leftOver(files: readonly SystemFile[], root: string): Promise<string[]> {
  const written = new Set(files.map(({ path }) => path));
  const found: string[] = [];
  for (const directory of new Set(files.map(({ path }) => dirname(path)))) {
    const entries = await readdir(join(root, directory), { withFileTypes: true }).catch(ignoreMissing);
    for (const entry of entries ?? []) {
      const path = join(directory, entry.name);
      if (!entry.isFile() || !entry.name.startsWith('lfsazsync') || written.has(path)) continue;
      const named = OWN_NAME.exec((await contentOf(join(root, path))) ?? '')?.[1];
      if (named !== undefined && [named, `${named}.service`].includes(entry.name)) found.push(path);
    }
  }
  return found.sort();
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
  return await readFile(path, 'utf8').catch(ignoreMissing);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
