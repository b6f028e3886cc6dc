import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BlobStore } from '../../../src/blob/store.ts';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import { LustreSource } from '../../../src/follow/lustre-source.ts';
import { REASON } from '../../../src/follow/reasons.ts';
import type { ReconcileContext } from '../../../src/follow/reconcile/context.ts';
import { workOff } from '../../../src/follow/reconcile/journal-worker.ts';
import { Reconciler } from '../../../src/follow/reconcile/reconciler.ts';
import type { ReconcileStep } from '../../../src/follow/reconcile/steps.ts';
import { refresh } from '../../../src/follow/refresh.ts';
import type { Fid } from '../../../src/identity/fid.ts';
import type { ImportJson } from '../../../src/import/report.ts';
import { silentLog as log } from '../../support/silent-log.ts';
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
  readonly inode: string;
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
      // More bits than a number holds.
      const inode = String(lstatSync(absolute, { bigint: true }).ino);
      const type = stat.isFile() ? 'file' : stat.isDirectory() ? 'dir' : stat.isSymbolicLink() ? 'symlink' : 'other';
      const content =
        type === 'symlink'
          ? readlinkSync(absolute, { encoding: 'buffer' }).toString('latin1')
          : type === 'file' && read
            ? readFileSync(absolute).toString('latin1')
            : undefined;
      seen.set(path.toString('latin1'), {
        ...{ type, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: Math.floor(stat.mtimeMs / 1000) },
        ...{ size: type === 'dir' ? 0 : stat.size, nlink: type === 'dir' ? 1 : stat.nlink, inode },
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
    const { exitCode, stdout, stderr } = await this.sandbox.run(['import', '--json', ...args], { timeout: 7_200_000 });
    const json = JSON.parse(stdout) as ImportJson;
    return { ...json, exitCode: exitCode ?? -1, stderr };
  }

  fid(path: string) {
    return this.rig.fid(path);
  }

  stop(): Promise<void> {
    return this.rig.stop();
  }
}

/** What the follower does about files, once: looks at them, and puts right in the container what follows from that. */
export class Follower {
  readonly catalog: Catalog;
  readonly #context: ReconcileContext;
  readonly #source: LustreSource;
  readonly #store: BlobStore;
  /** Called after each step; a rejection is a kill. */
  step: (step: ReconcileStep) => Promise<void> = () => Promise.resolve();

  private constructor(rig: Rig, fsUuid: string, store: BlobStore) {
    this.catalog = openCatalog({ file: join(rig.sandbox.dir, 'state', 'catalog.db') });
    this.#store = store;
    this.#source = new LustreSource(rig.fs, fsUuid);
    const settled = () => Promise.resolve();
    this.#context = {
      ...{ fs: rig.fs, fsUuid, archives: new Map([[1, store]]), catalog: this.catalog, log },
      step: (step) => this.step(step),
      archiveAgain: settled,
      audit: { record: settled, reopen: settled, close: settled },
      signal: new AbortController().signal,
    };
  }

  static async open(rig: Rig): Promise<Follower> {
    const credential = { type: 'connection_string', env: 'CONNECTION' } as const;
    const container = rig.sandbox.containerClient.containerName;
    const store = await BlobStore.open(
      { endpoint: undefined, container, prefix: '', credential, accessTier: undefined, rehydrate: 'none' },
      { env: { CONNECTION: rig.sandbox.connectionString } },
    );
    return new Follower(rig, (await rig.fs.readUuid()) as string, store);
  }

  /** Looks at these; what follows is in the journal. */
  async look(...fids: Fid[]): Promise<void> {
    const since = Math.floor(Date.now() / 1000);
    await this.catalog.apply({ marks: fids.map((fid) => ({ fid, hints: 0, since })) });
    const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
    for (let after: Fid | undefined; (await this.catalog.markStats()).count > 0; ) {
      after = (await refresh(this.catalog, this.#source, { after, limit: 1000, timing })).next;
    }
  }

  /** Works until the journal has nothing left. Rejects when something is given up. */
  async work(): Promise<void> {
    for (let rounds = 0; (await this.catalog.journalStats()).count > 0; rounds++) {
      const left = await this.catalog.journalDue(Date.now() + 1e9, 10);
      if (rounds > 500) throw new Error(`the journal does not end: ${JSON.stringify(left)}`);
      const { failed } = await workOff(this.#context, { concurrency: 4 });
      if (failed > 0) throw new Error(`failed: ${JSON.stringify(await this.catalog.journalDue(Date.now() + 1e9, 10))}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** One row, as if it had just been put into the journal. */
  async reconcile(fid: Fid): Promise<void> {
    await new Reconciler(this.#context).reconcile({ fid, reasons: REASON.NAMES, since: 0, stamp: 0 });
  }

  async follow(...fids: Fid[]): Promise<void> {
    await this.look(...fids);
    await this.work();
  }

  close(): void {
    this.#store.close();
    this.catalog.close();
  }
}

/** What `seeTree` says of two trees that are to be the same: hard links by what they belong to, not by their inodes. */
export function comparable(tree: Map<string, Seen>): Record<string, Omit<Seen, 'inode'> & { readonly linkOf: string }> {
  const first = new Map<string, string>();
  for (const path of [...tree.keys()].sort()) {
    const seen = tree.get(path) as Seen;
    if (seen.nlink > 1 && !first.has(seen.inode)) first.set(seen.inode, path);
  }
  return Object.fromEntries(
    [...tree].map(([path, { inode, ...seen }]) => [path, { ...seen, linkOf: first.get(inode) ?? path }]),
  );
}
