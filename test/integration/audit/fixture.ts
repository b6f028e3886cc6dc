import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { SweepJson } from '../../../src/audit/sweep-report.ts';
import { BlobStore } from '../../../src/blob/store.ts';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import { LustreSource } from '../../../src/follow/lustre-source.ts';
import type { ReconcileContext } from '../../../src/follow/reconcile/context.ts';
import { workOff } from '../../../src/follow/reconcile/journal-worker.ts';
import { reap } from '../../../src/follow/reconcile/reap.ts';
import { refresh } from '../../../src/follow/refresh.ts';
import type { Fid } from '../../../src/identity/fid.ts';
import type { AuditEntry } from '../../../src/service/audit.ts';
import { silentLog } from '../../support/silent-log.ts';
import { Rig } from '../copytool/fixture.ts';

/** A sandbox with a copytool, `scan` and `sweep` by the executable, and a follower's work on the catalog, step by step. */
export class AuditRig {
  readonly rig: Rig;
  readonly store: BlobStore;
  readonly fsUuid: string;
  readonly audit: AuditEntry[] = [];

  private constructor(rig: Rig, store: BlobStore, fsUuid: string) {
    this.rig = rig;
    this.store = store;
    this.fsUuid = fsUuid;
  }

  static async start(): Promise<AuditRig> {
    const rig = await Rig.start({ config: { copytool: { locate_timeout: '5s' } } });
    const store = await BlobStore.open(
      {
        ...{ endpoint: undefined, container: rig.sandbox.container, prefix: '' },
        ...{ credential: { type: 'connection_string', env: 'CONNECTION' }, accessTier: undefined, rehydrate: 'none' },
      },
      { env: { CONNECTION: rig.sandbox.connectionString } },
    );
    return new AuditRig(rig, store, (await rig.fs.readUuid()) as string);
  }

  async stop(): Promise<void> {
    this.store.close();
    await this.rig.stop();
  }

  get catalogFile(): string {
    return join(this.rig.sandbox.dir, 'state/catalog.db');
  }

  loseCatalog(): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.catalogFile}${suffix}`, { force: true });
  }

  /** A command with --json, which must end well. */
  async json<T>(...argv: string[]): Promise<T> {
    const result = await this.rig.sandbox.run([...argv, '--json']);
    expect(result, result.stderr + result.stdout).toMatchObject({ exitCode: 0 });
    return JSON.parse(result.stdout) as T;
  }

  scan(): Promise<unknown> {
    return this.json('scan');
  }

  sweep(...argv: string[]): Promise<SweepJson> {
    return this.json('sweep', ...argv);
  }

  /** A sweep that is to find just that: codes with the names of the blobs, sorted. */
  async sweepFinds(...expected: readonly (readonly [code: string, blob: string | null])[]): Promise<SweepJson> {
    const sweep = await this.sweep();
    const found = sweep.examples.map(({ code, blob }) => `${code} ${blob}`).sort();
    expect(found).toEqual(expected.map(([code, blob]) => `${code} ${blob}`).sort());
    return sweep;
  }

  withNewCatalog<T>(work: (catalog: Catalog) => Promise<T>): Promise<T> {
    return this.withCatalog(work, true);
  }

  async withCatalog<T>(work: (catalog: Catalog) => Promise<T>, create = false): Promise<T> {
    const catalog = openCatalog({ file: this.catalogFile, create });
    try {
      return await work(catalog);
    } finally {
      catalog.close();
    }
  }

  /** What the follower does: looks at what is marked, works off the journal, removes what the dead left. */
  follow(step: ReconcileContext['step'] = () => Promise.resolve()): Promise<void> {
    return this.withCatalog(async (catalog) => {
      const context = { ...this.#context(catalog), step };
      const source = new LustreSource(this.rig.fs, this.fsUuid);
      const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
      for (let round = 0; round < 300; round++) {
        for (let after: Fid | undefined; (await catalog.markStats()).count > 0; ) {
          after = (await refresh(catalog, source, { after, limit: 100, timing })).next;
        }
        await workOff(context, { concurrency: 4, firstWait: 10, maxTries: 3 });
        await reap(context, { grace: 0, concurrency: 4, mayRemove: () => Promise.resolve(true) });
        // What is left to settle need not be waited for.
        const waiting = (await catalog.journalDue(Number.MAX_SAFE_INTEGER, 1_000)).filter(({ tries }) => tries === 0);
        await catalog.journalRetry(waiting.map(({ fid }) => fid));
        const { count, quarantined } = await catalog.journalStats();
        const { count: dead } = await catalog.deaths(0);
        if (count === quarantined && dead === 0 && (await catalog.markStats()).count === 0) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const left = JSON.stringify(await catalog.journalDue(Number.MAX_SAFE_INTEGER, 10));
      throw new Error(`the follower does not come to its end: ${left}`);
    });
  }

  #context(catalog: Catalog): Omit<ReconcileContext, 'step'> {
    const archiveAgain = async (fid: Fid) => this.rig.lfs('hsm_archive', this.rig.fs.fidPath(fid));
    const { fsUuid, rig } = this;
    return {
      ...{ fs: rig.fs, fsUuid, archives: new Map([[1, this.store]]), catalog, log: silentLog, archiveAgain },
      audit: {
        record: (entry) => Promise.resolve(void this.audit.push(entry)),
        reopen: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
      signal: new AbortController().signal,
    };
  }

  /** The container without the control blobs: name → kind and what says where from. */
  async container(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    const { containerClient } = this.rig.sandbox;
    for await (const { name, metadata } of containerClient.listBlobsFlat({ includeMetadata: true })) {
      if (name.startsWith('.lfsazsync/') && !name.includes('staging')) continue;
      const kind = metadata?.['lfsazsync_kind'] ?? 'stranger';
      const body = (await containerClient.getBlobClient(name).downloadToBuffer()).toString();
      found[name] = kind === 'link' ? `link ${metadata?.['lfsazsync_link']}` : `${kind} ${body}`.trim();
    }
    return found;
  }
}
