import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openCatalog } from '../../src/catalog/open.ts';
import type { Entry } from '../../src/catalog/types.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/types.ts';
import type { Seen } from '../../src/follow/fresh.ts';
import { type Fid, ROOT_FID } from '../../src/identity/fid.ts';
import type { FileAttributes } from '../../src/lustre/attributes.ts';
import { ERRNO } from '../../src/lustre/errno.ts';
import { type CurrentAction, HSM } from '../../src/lustre/hsm-state.ts';
import type { HsmRequest } from '../../src/lustre/lfs.ts';
import type { OstUsage } from '../../src/lustre/ost-usage.ts';
import { loadPolicies } from '../../src/policy/policies.ts';
import { effectsOn, NO_EFFECTS, type RunContext, type RunRequest } from '../../src/policy/run/context.ts';
import { runPolicy } from '../../src/policy/run/run.ts';
import type { RunSummary, TriggerReport } from '../../src/policy/run/types.ts';
import { ErrnoError } from '../../src/service/errors.ts';
import { entry, fid, scratch } from './catalog.ts';
import { FakeClock } from './fake-clock.ts';
import { silentLog as log } from './silent-log.ts';

const IDLE: CurrentAction = { action: 'NOOP', state: 'none', done: 0n };
const NO_PRICES: Pick<Config, 'archives' | 'prices'> = {
  archives: new Map(),
  prices: { currency: 'USD', accountTier: 'Hot', tiers: {} },
};

/** How the model's copytool deals with a file: archives it, fails, never begins, works for so long. */
export type Conduct = 'work' | 'fail' | 'hang' | { readonly ms: number };

interface ModelFile {
  entry: Entry;
  action: CurrentAction;
  /** When its archive was asked for. */
  asked?: number;
  conduct: Conduct;
  dead: boolean;
}

/**
 * A file system and a coordinator in memory, with a real catalog, on a clock of the test's own: for what takes hours,
 * and for what has to be counted exactly. What Lustre itself does is tested on the stand-in.
 */
export class PolicyModel {
  readonly clock = new FakeClock();
  readonly files = new Map<Fid, ModelFile>();
  readonly requests: HsmRequest[] = [];
  /** When each file was asked for, milliseconds since the beginning. */
  readonly askedAt: number[] = [];
  readonly catalog: Catalog;
  osts: OstUsage[] = [];
  /** FIDs whose copy is missing. */
  readonly noCopy = new Set<Fid>();
  verified = 0;
  /** Most files that the coordinator had at once. */
  most = 0;
  /** Thrown by the next requests. */
  trouble: ((request: HsmRequest) => void) | undefined;
  readonly #place = scratch();
  #next = 0x10;

  constructor() {
    this.catalog = openCatalog({ file: this.#place.file, create: true });
  }

  get file(): string {
    return this.#place.file;
  }

  close(): void {
    this.catalog.close();
    this.#place.remove();
  }

  /** Seconds since 1970, so long ago. */
  ago(seconds: number): number {
    return Math.floor(this.clock.now() / 1000) - seconds;
  }

  /** A file in Lustre and, as it is, in the catalog. */
  async add(changes: Partial<Entry> = {}, conduct: Conduct = 'work'): Promise<Fid> {
    const [one] = await this.addMany(1, () => changes, conduct);
    return one as Fid;
  }

  async addMany(count: number, changes: (index: number) => Partial<Entry>, conduct: Conduct = 'work'): Promise<Fid[]> {
    const fids: Fid[] = [];
    const puts = [];
    for (let index = 0; index < count; index++) {
      const of = fid(this.#next++);
      const made = entry(of, { size: 1000n, blocks: 8n, ...changes(index) });
      this.files.set(of, { entry: made, action: IDLE, conduct, dead: false });
      fids.push(of);
      puts.push({ entry: made, links: [{ parent: ROOT_FID, name: Buffer.from(`f${of}`) }] });
    }
    await this.catalog.apply({ puts });
    return fids;
  }

  /** Changes a file behind the catalog's back. */
  change(of: Fid, changes: Partial<Entry>): void {
    const file = this.#get(of);
    file.entry = { ...file.entry, ...changes };
  }

  /** Somebody else's action is under way, and stays so. */
  act(of: Fid, action: CurrentAction): void {
    Object.assign(this.#get(of), { action, conduct: 'hang' });
  }

  state(of: Fid): number {
    return this.#get(of).entry.hsm;
  }

  kill(of: Fid): void {
    this.#get(of).dead = true;
  }

  conduct(of: Fid, conduct: Conduct): void {
    this.#get(of).conduct = conduct;
  }

  context(dry = false, { archives, prices }: Pick<Config, 'archives' | 'prices'> = NO_PRICES): RunContext {
    return {
      mount: '/mnt/lustre',
      files: {
        getMany: async (targets) => targets.map((target) => this.#attributes((target as { fid: Fid }).fid)),
        setHsm: async (of, { set = 0 }) => {
          const file = this.#get(of);
          if ((file.entry.hsm & HSM.RELEASED) !== 0) throw new ErrnoError(ERRNO.EINVAL, 'hsm_set');
          file.entry = { ...file.entry, hsm: file.entry.hsm | set };
        },
      },
      source: {
        look: async (fids) => new Map(fids.map((of) => [of, this.#seen(of)])),
        stripes: async () => new Map(),
      },
      catalog: this.catalog,
      effects: dry ? NO_EFFECTS : effectsOn(this.catalog, (request) => this.#send(request)),
      osts: async () => this.osts,
      served: new Set([1]),
      verifier: async () => ({
        verify: async ({ fid: of }) => {
          this.verified += 1;
          return this.noCopy.has(of) ? { ok: false, reason: 'nothing', searched: true } : { ok: true };
        },
      }),
      reaper: () => Promise.reject(new Error('no removals here')),
      config: {
        follow: { settle: 60_000 },
        request: { batch: 50, parallel: 4, pollInterval: 1000, restoreOutstanding: 1000, restoreRate: 'unlimited' },
        policyRun: { stallTimeout: 300_000, verifiedWithin: 0 },
        removal: { grace: 300_000, by: 'policy', maxDeleteShare: 10, maxDeleteFree: 1000, window: 86_400_000 },
        lfs: 'lfs',
        copytool: { blockSize: 'auto', rangeSize: 4 << 20 } as RunContext['config']['copytool'],
        archives,
        prices,
      },
      clock: this.clock,
      log,
      step: () => Promise.resolve(),
    };
  }

  /** Runs a policy of this configuration (YAML of `classes` and `policies`; none: the defaults). */
  async run(
    name: string,
    yaml = '',
    { trigger, dry = false, ...more }: Partial<RunRequest> & { trigger?: TriggerReport; dry?: boolean } = {},
  ): Promise<RunSummary> {
    const file = join(this.#place.directory, 'config.yaml');
    writeFileSync(file, `mount: /mnt/lustre\n${yaml}`);
    const { config } = await loadConfig({ file, flags: [], env: {} });
    const { policies, classes } = await loadPolicies(config);
    const policy = policies.get(name);
    if (policy === undefined) throw new Error(`no policy ${name}`);
    return await runPolicy(this.context(dry, config), {
      policy,
      classes,
      trigger: trigger ?? { on: 'named', fires: true, why: 'test' },
      signal: new AbortController().signal,
      ...more,
    });
  }

  #get(of: Fid): ModelFile {
    const file = this.files.get(of);
    if (file === undefined) throw new Error(`no file ${of}`);
    return file;
  }

  #seen(of: Fid): Seen {
    const file = this.#get(of);
    this.#goOn(file);
    if (file.dead) return { kind: 'dead' };
    const links = file.entry.nlink === 0 ? [] : [{ parent: ROOT_FID, name: Buffer.from(`f${of}`) }];
    return { kind: 'alive', fresh: { entry: file.entry, links }, action: file.action };
  }

  #attributes(of: Fid): FileAttributes | ErrnoError {
    const file = this.#get(of);
    this.#goOn(file);
    if (file.dead) return new ErrnoError(ERRNO.ENOENT, 'get');
    const { hsm, archive } = file.entry;
    return { fid: of, hsm: { states: hsm, archive }, action: file.action, errors: new Map() };
  }

  /** What the copytool has done since. */
  #goOn(file: ModelFile): void {
    if (file.action.action === 'NOOP' || file.conduct === 'hang') return;
    const ms = typeof file.conduct === 'object' ? file.conduct.ms : 500;
    if (this.clock.now() - (file.asked ?? 0) < ms) return;
    file.action = IDLE;
    const hsm = file.conduct === 'fail' ? file.entry.hsm | HSM.EXISTS : HSM.EXISTS | HSM.ARCHIVED;
    file.entry = { ...file.entry, hsm, archive: 1 };
  }

  async #send(request: HsmRequest): Promise<void> {
    this.requests.push(request);
    this.trouble?.(request);
    for (const of of request.fids) {
      const file = this.#get(of);
      this.askedAt.push(this.clock.now() - this.clock.began);
      if (request.action === 'archive') {
        file.action = { action: 'ARCHIVE', state: 'waiting', done: 0n };
        file.asked = this.clock.now();
      } else {
        if ((file.entry.hsm & (HSM.DIRTY | HSM.LOST | HSM.NORELEASE)) !== 0)
          throw new ErrnoError(ERRNO.EPERM, 'release');
        const released = { hsm: file.entry.hsm | HSM.RELEASED, blocks: 1n, osts: [] };
        file.entry = { ...file.entry, ...released };
      }
    }
    let under = 0;
    for (const file of this.files.values()) {
      this.#goOn(file);
      if (file.action.action !== 'NOOP') under += 1;
    }
    this.most = Math.max(this.most, under);
  }
}
