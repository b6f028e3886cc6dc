import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { seeContainer } from '../../support/container-view.ts';
import type { Sandbox } from '../../support/sandbox.ts';
import { waitUntil } from '../../support/wait.ts';

/*
 * What the file system holds and what the container holds, a line each, read with none of the product's code. Every
 * regular file with content is expected to be archived, and no other; special files are nowhere.
 */

/** Lines of the file system. Reads no content: released files stay released. */
export function linesOfTree(mount: string): string[] {
  const lines: string[] = [];
  const names = new Map<bigint, string[]>();
  const files: [string, BigIntStats][] = [];
  const walk = (directory: string) => {
    for (const name of readdirSync(join(mount, directory))) {
      const path = directory === '' ? name : `${directory}/${name}`;
      if (path === '.lustre') continue;
      const stat = lstatSync(join(mount, path), { bigint: true });
      if (stat.isDirectory()) {
        lines.push(`${path} dir ${attributes(stat)}`);
        walk(path);
      } else if (stat.isSymbolicLink()) {
        lines.push(`${path} symlink ${readlinkSync(join(mount, path))} ${stat.uid}:${stat.gid} ${seconds(stat)}`);
      } else if (stat.isFile() && stat.size > 0n) {
        names.set(stat.ino, [...(names.get(stat.ino) ?? []), path]);
        files.push([path, stat]);
      }
    }
  };
  walk('');
  for (const [path, stat] of files)
    lines.push(`${path} file [${names.get(stat.ino)?.sort().join(', ')}] ${stat.size} ${attributes(stat)}`);
  return lines.sort();
}

const seconds = ({ mtimeNs }: BigIntStats) => mtimeNs / 1_000_000_000n;
const attributes = (stat: BigIntStats) =>
  `${stat.uid}:${stat.gid} ${(stat.mode & 0o7777n).toString(8)} ${seconds(stat)}`;

/** Lines of the container, apart from our own directory; what stands in there besides the control blobs is listed. */
export async function linesOfContainer(sandbox: Sandbox): Promise<string[]> {
  const blobs = await seeContainer(sandbox.containerClient);
  const lines: string[] = [];
  const names = new Map<string, string[]>();
  const add = (canonical: string, path: string) => names.set(canonical, [...(names.get(canonical) ?? []), path]);
  for (const { name, path, metadata } of blobs) {
    if (path === undefined) continue;
    if (metadata['lfsazsync_kind'] === 'file') add(name, path);
    if (metadata['lfsazsync_kind'] === 'link') add(decodeURIComponent(metadata['lfsazsync_link'] ?? ''), path);
  }
  const sizes = new Map(blobs.map(({ name, body }) => [name, body.length]));
  for (const { name, path, metadata, body } of blobs) {
    if (path === undefined) {
      if (name.startsWith('.lfsazsync/staging/')) lines.push(name);
      continue;
    }
    const { owner, group, lfsazsync_mode: mode = '', lfsazsync_mtime = '' } = metadata;
    const mtime = lfsazsync_mtime.split('.')[0];
    const all = `${owner}:${group} ${mode.replace(/^0+(?=.)/, '')} ${mtime}`;
    const kind = metadata['lfsazsync_kind'];
    if (kind === 'dir') lines.push(`${path} dir ${all}`);
    else if (kind === 'symlink') lines.push(`${path} symlink ${body.toString()} ${owner}:${group} ${mtime}`);
    else if (kind === 'file' || kind === 'link') {
      const canonical = kind === 'file' ? name : decodeURIComponent(metadata['lfsazsync_link'] ?? '');
      const group = (names.get(canonical) ?? []).sort().join(', ');
      lines.push(`${path} file [${group}] ${sizes.get(canonical)} ${all}`);
    } else lines.push(`${path} of nobody`);
  }
  return lines.sort();
}

/** Waits until the container is as the file system is; shows the difference when it does not come to that. */
export async function mirrored(sandbox: Sandbox, more: () => string = () => '', timeout = 60_000): Promise<void> {
  let tree: string[] = [];
  let container: string[] = [];
  try {
    await waitUntil(
      'the container is as the file system is',
      async () => {
        tree = linesOfTree(sandbox.mount);
        container = await linesOfContainer(sandbox);
        return tree.join('\n') === container.join('\n');
      },
      { timeout, interval: 200, detail: () => more().slice(-6_000) },
    );
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    expect(container, 'container (expected: the file system)').toEqual(tree);
    throw error;
  }
}
