import { BlobStore } from '../blob/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { Config } from '../config/types.ts';
import { type LustreFileSystem, openFileSystem } from '../lustre/file-system.ts';
import { listMdts } from '../lustre/lfs.ts';
import type { Log } from '../service/log.ts';

/** What the checks look at; opened when the first of them needs it, and only once. */
export class DoctorContext {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly #stores = new Map<number, Promise<BlobStore>>();
  #fs: Promise<LustreFileSystem> | undefined;
  #mdts: Promise<readonly string[]> | undefined;

  constructor(options: {
    readonly config: Config;
    readonly version: string;
    readonly log: Log;
    readonly env?: Readonly<Record<string, string | undefined>>;
  }) {
    this.config = options.config;
    this.version = options.version;
    this.log = options.log;
    this.env = options.env ?? process.env;
  }

  fileSystem(): Promise<LustreFileSystem> {
    const { mount, liblustreapi, helper } = this.config;
    this.#fs ??= openFileSystem({
      ...{ mount, liblustreapi, helper },
      onDiagnostic: (line) => this.log.debug('native helper', { line }),
    });
    return this.#fs;
  }

  /** Configured, or as the client knows them. */
  mdts(): Promise<readonly string[]> {
    this.#mdts ??=
      this.config.mdts === undefined
        ? this.fileSystem().then(({ mount }) => listMdts(mount, this.config.lfs))
        : Promise.resolve(this.config.mdts);
    return this.#mdts;
  }

  store(archive: number): Promise<BlobStore> {
    const known = this.#stores.get(archive);
    if (known !== undefined) return known;
    const config = this.config.archives.get(archive);
    if (config === undefined) throw new RangeError(`archive ${archive} is not configured`);
    const opened = BlobStore.open(config, { env: this.env, idleTimeout: 15_000 });
    this.#stores.set(archive, opened);
    return opened;
  }

  /** Looks into the catalog, which other processes may be writing. */
  async withCatalog<T>(work: (catalog: Catalog) => Promise<T>): Promise<T> {
    const catalog = openCatalog({ file: catalogFile(this.config.stateDir), readOnly: true });
    try {
      return await work(catalog);
    } finally {
      catalog.close();
    }
  }

  async close(): Promise<void> {
    await this.#fs?.then((fs) => fs.close()).catch(() => undefined);
    for (const store of this.#stores.values()) await store.then((one) => one.close()).catch(() => undefined);
  }
}
