import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseFid } from '../../../src/identity/fid.ts';
import type { ImportJson } from '../../../src/import/report.ts';
import { Rig } from '../copytool/fixture.ts';

/** What a file system has at a path, told by the file system alone. */
export interface Seen {
  readonly type: 'file' | 'dir' | 'symlink' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds; of directories only if asked for: making something in them changes it. */
  readonly mtime: number;
  readonly size: number;
  readonly nlink: number;
  readonly inode: number;
  /** Of a symlink; of a file, its content if it was to be read. */
  readonly content?: string;
}

/** Everything below a directory, by its path, names as latin1; `.lustre` and our own tree of tests apart. */
export function seeTree(top: string, read = false): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const walk = (relative: Buffer): void => {
    const directory = relative.length === 0 ? Buffer.from(top) : Buffer.concat([Buffer.from(`${top}/`), relative]);
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      if (relative.length === 0 && name.toString() === '.lustre') continue;
      const path = relative.length === 0 ? name : Buffer.concat([relative, Buffer.from('/'), name]);
      const absolute = Buffer.concat([Buffer.from(`${top}/`), path]);
      const stat = lstatSync(absolute);
      const type = stat.isFile() ? 'file' : stat.isDirectory() ? 'dir' : stat.isSymbolicLink() ? 'symlink' : 'other';
      const content =
        type === 'symlink'
          ? readlinkSync(absolute, { encoding: 'buffer' }).toString('latin1')
          : type === 'file' && read
            ? readFileSync(absolute).toString('latin1')
            : undefined;
      seen.set(path.toString('latin1'), {
        ...{ type, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: Math.floor(stat.mtimeMs / 1000) },
        ...{ size: type === 'dir' ? 0 : stat.size, nlink: type === 'dir' ? 1 : stat.nlink, inode: stat.ino },
        ...(content === undefined ? {} : { content }),
      });
      if (type === 'dir') walk(path);
    }
  };
  walk(Buffer.alloc(0));
  return seen;
}

/** A rig of the copytool's whose container is filled by others. */
export class ImportRig {
  readonly rig: Rig;

  private constructor(rig: Rig) {
    this.rig = rig;
  }

  static async start(options: Parameters<typeof Rig.start>[0] = {}): Promise<ImportRig> {
    return new ImportRig(await Rig.start(options));
  }

  get sandbox() {
    return this.rig.sandbox;
  }

  /** A path of the file system. */
  at(...names: string[]): string {
    return join(this.sandbox.mount, ...names);
  }

  async put(name: string, content: string | Buffer = '', metadata: Record<string, string> = {}): Promise<string> {
    const blob = this.sandbox.containerClient.getBlockBlobClient(name);
    const body = Buffer.from(content);
    const { etag } = await blob.upload(body, body.length, { metadata });
    return etag ?? '';
  }

  async import(...args: string[]): Promise<ImportJson & { readonly exitCode: number; readonly stderr: string }> {
    const { exitCode, stdout, stderr } = await this.sandbox.run(['import', '--json', ...args], { timeout: 600_000 });
    const json = JSON.parse(stdout) as ImportJson;
    return { ...json, exitCode: exitCode ?? -1, stderr };
  }

  fid(path: string) {
    return this.rig.fid(path).then((fid) => parseFid(fid));
  }

  stop(): Promise<void> {
    return this.rig.stop();
  }
}
