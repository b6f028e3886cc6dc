import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { HelperClient } from '../../support/helper-client.ts';
import type { Sandbox } from '../../support/sandbox.ts';

export type Snapshot = Record<string, Record<string, unknown>>;

async function walk(dir: Buffer, into: Buffer[] = []): Promise<Buffer[]> {
  into.push(dir);
  for (const name of await readdir(dir, { encoding: 'buffer' })) {
    const path = Buffer.concat([dir, Buffer.from('/'), name]);
    if ((await lstat(path)).isDirectory()) await walk(path, into);
    else into.push(path);
  }
  return into;
}

const XATTRS = ['user.a', 'trusted.big', 'trusted.lov', 'trusted.lma', 'trusted.link', 'trusted.hsm'];
const WANT = ['stat', 'hsm', 'action', 'dv', 'paths', 'xattrs', 'layout'];

/**
 * Everything that can be seen of a tree: numbers of lstat, targets, attributes, layouts, HSM states, all names by the
 * helper, and hashes of what can be read without a restore. Keys are the paths, byte by byte.
 */
export async function snapshot(sandbox: Sandbox): Promise<Snapshot> {
  const result: Snapshot = {};
  const helper = new HelperClient('attrs', ['--mount', sandbox.mount, '--liblustreapi', sandbox.llapi], {
    ...process.env,
    ...sandbox.env,
  });
  try {
    const hello = await helper.hello();
    if (hello.t !== 'hello') throw new Error(JSON.stringify(hello));
    for (const path of await walk(Buffer.from(sandbox.tree))) {
      const ino = (await lstat(path, { bigint: true })).ino.toString();
      const { mode, uid, gid, nlink, size, blocks, mtimeMs, ctimeMs } = await lstat(path);
      const { n: _, ...seen } = await helper.ask('get', {
        path_b64: path.toString('base64'),
        want: WANT,
        xattrs: XATTRS,
      });
      const hsm = seen['hsm'] as { states?: number } | undefined;
      const entry: Record<string, unknown> = { ino, mode, uid, gid, nlink, size, blocks, mtimeMs, ctimeMs, seen };
      const kind = mode & 0o170000;
      if (kind === 0o120000) entry['target'] = (await readlink(path, { encoding: 'buffer' })).toString('hex');
      if (kind === 0o100000 && ((hsm?.states ?? 0) & 0x4) === 0)
        entry['sha256'] = createHash('sha256')
          .update(await readFile(path))
          .digest('hex');
      result[path.toString('latin1').slice(sandbox.tree.length)] = entry;
    }
  } finally {
    await helper.close();
  }
  return result;
}
