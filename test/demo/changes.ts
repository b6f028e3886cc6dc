import { chmod, chown, link, lstat, mkdir, readdir, rename, rm, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DemoFile } from './data.ts';
import { number, tell } from './tell.ts';

/** Files that are done something to, of each kind. */
const SOME = 20;

/**
 * What users do all day, to files whose content is in the container alone: everything is renamed, links are made, owners
 * and modes change, files are deleted. Gives the files that are left, where and how they are now.
 */
export async function changeThings(tree: string, files: readonly DemoFile[]): Promise<DemoFile[]> {
  const left = new Map(files.map((file) => [file.path.toString('latin1'), file]));
  const inTree = [...left.keys()].filter((path) => path.startsWith(`${join(tree, 'tree')}/`));
  const pick = (from: number) => inTree.slice(from * SOME, (from + 1) * SOME);
  const moved = (from: string, to: string) => {
    const file = left.get(from) as DemoFile;
    left.delete(from);
    left.set(to, { ...file, path: Buffer.from(to, 'latin1') });
  };

  await mkdir(join(tree, 'sorted'));
  for (const path of pick(0)) {
    const to = join(tree, 'sorted', `${left.get(path)?.sha256.slice(0, 12)} ${path.slice(path.lastIndexOf('/') + 1)}`);
    await rename(path, to);
    moved(path, to);
  }
  tell(`renamed ${SOME} files into another directory`);

  const [one = '', other = ''] = pick(1);
  await rename(one, `${one}.aside`);
  await rename(other, one);
  await rename(`${one}.aside`, other);
  const [first, second] = [left.get(one), left.get(other)] as [DemoFile, DemoFile];
  left.set(one, { ...second, path: first.path });
  left.set(other, { ...first, path: second.path });
  tell('swapped the names of two files');

  const overwritten = pick(2);
  for (let at = 0; at + 1 < overwritten.length; at += 2) {
    const [from = '', to = ''] = overwritten.slice(at, at + 2);
    await rename(from, to);
    left.delete(to);
    moved(from, to);
  }
  tell(`renamed ${SOME / 2} files over others`);

  for (const [index, path] of pick(3).entries()) {
    await link(path, join(tree, 'sorted', `link ${index}`));
    await symlink(`../${path.slice(tree.length + 1)}`, join(tree, 'sorted', `symlink ${index}`));
  }
  tell(`made ${SOME} hard links and ${SOME} symlinks`);

  for (const path of pick(4)) {
    await chown(path, 1000, 1001);
    await chmod(path, 0o640);
    left.set(path, { ...(left.get(path) as DemoFile), uid: 1000, mode: 0o640 });
  }
  tell(`gave ${SOME} files another owner, group and mode`);

  for (const path of pick(5)) {
    await unlink(path);
    left.delete(path);
  }
  const directory = await removeDirectory(join(tree, 'tree'), left);
  tell(`deleted ${SOME} files, and ${directory} with all that was in it`);

  await rename(join(tree, 'tree'), join(tree, 'tree, renamed'));
  const below = `${join(tree, 'tree')}/`;
  const together = [...left.keys()].filter((path) => path.startsWith(below));
  for (const path of together) moved(path, `${join(tree, 'tree, renamed')}/${path.slice(below.length)}`);
  tell(`renamed the directory that the other ${number(together.length)} files are in`);
  return [...left.values()];
}

/** Removes the last directory of the tree that holds few files. */
async function removeDirectory(tree: string, left: Map<string, DemoFile>): Promise<string> {
  for (const name of (await readdir(tree)).sort().reverse()) {
    const path = join(tree, name);
    const inside = [...left.keys()].filter((one) => one.startsWith(`${path}/`));
    if (!(await lstat(path)).isDirectory() || inside.length === 0 || inside.length > 200) continue;
    await rm(path, { recursive: true });
    for (const one of inside) left.delete(one);
    return name;
  }
  return 'no directory';
}
