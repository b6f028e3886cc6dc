import { mkdir } from 'node:fs/promises';
import type { LoadedConfig } from '../../config/load.ts';
import type { Config } from '../../config/types.ts';
import { pause } from '../../service/bell.ts';
import { ControlServer } from '../../service/control/server.ts';
import type { ServiceLog } from '../../service/log.ts';
import { serviceManager } from '../../service/service-manager.ts';
import { loadPolicies } from '../policies.ts';
import { runOnce } from './once.ts';
import type { PolicyResult } from './policy-runs.ts';
import { toJson } from './report.ts';
import { policyRunSocket } from './socket.ts';
import type { RunProgress } from './types.ts';

export interface StayOptions {
  readonly loaded: LoadedConfig;
  /** Reads the configuration again, with the same flags. */
  readonly reload: () => Promise<LoadedConfig>;
  readonly names: readonly string[];
  readonly log: ServiceLog;
  readonly version: string;
  /** How often the triggers are looked at, milliseconds. */
  readonly every: number;
  readonly maxFiles?: number | undefined;
  readonly maxBytes?: number | undefined;
  readonly maxDuration?: number | undefined;
  readonly wait?: boolean | undefined;
  /** Begins nothing more; what was asked for goes on in Lustre. */
  readonly signal: AbortSignal;
}

/** So often the loop comes round, also while it waits for the next look. */
const BEAT_MS = 1_000;

/**
 * Looks at the triggers again and again, until it is asked to stop, which is no error. What fails is logged, and tried
 * again the next time. Policies don't wait for each other.
 * @throws OperatorError when the configuration is wrong from the start, or another one is at work
 */
export async function stay(options: StayOptions): Promise<void> {
  const { log, signal, version } = options;
  const manager = serviceManager({ log });
  const resident = new Resident(options, () => manager.alive());
  await resident.check();
  const { config } = options.loaded;
  for (const directory of [config.runDir, config.stateDir]) await mkdir(directory, { recursive: true, mode: 0o750 });
  const server = await ControlServer.open({
    directory: config.runDir,
    name: policyRunSocket(config.mount),
    version,
    handlers: { status: () => resident.status(), reload: () => resident.reload(), run: () => resident.runNow() },
    log,
  });
  const onHangup = () => {
    log.reopen();
    resident.reload().catch(() => undefined);
  };
  process.on('SIGHUP', onHangup);
  let beat: NodeJS.Timeout | undefined;
  try {
    log.info('policy-run ready', { mount: config.mount, every: options.every });
    manager.ready(`looks at the triggers every ${options.every / 1000} s`);
    await resident.loop();
    manager.stopping();
    // While what is at work comes to its end, that the process is not stuck must do.
    beat = setInterval(() => manager.alive(), BEAT_MS);
    await resident.drained();
    log.info('policy-run stopped', { reason: String((signal.reason as Error | undefined)?.message ?? '') });
  } finally {
    clearInterval(beat);
    process.off('SIGHUP', onHangup);
    await server.close();
  }
}

interface Running {
  readonly since: Date;
  readonly end: Promise<void>;
  progress?: () => RunProgress;
  /** It has come through something since all runs had. */
  turned: boolean;
}

class Resident {
  readonly #options: StayOptions;
  readonly #onTurn: () => void;
  readonly #started = new Date();
  readonly #running = new Map<string, Running>();
  readonly #last = new Map<string, { readonly at: Date; readonly result: PolicyResult }>();
  #config: Config;
  /** When the triggers are looked at again. */
  #next: Date | undefined;
  #wake = new AbortController();

  /** @param onTurn told when the loop, and every run that is at work, has come round */
  constructor(options: StayOptions, onTurn: () => void) {
    this.#options = options;
    this.#onTurn = onTurn;
    this.#config = options.loaded.config;
  }

  /** Names that no policy has are told at once. */
  async check(): Promise<void> {
    await this.#namesIn(this.#config);
  }

  async loop(): Promise<void> {
    const { signal, every } = this.#options;
    while (!signal.aborted) {
      const next = performance.now() + every;
      this.#next = new Date(Date.now() + every);
      await this.#begin();
      await this.#rest(next);
    }
  }

  /** Until the next look, or until somebody asks for one. */
  async #rest(until: number): Promise<void> {
    const woken = AbortSignal.any([this.#options.signal, this.#wake.signal]);
    while (!woken.aborted) {
      this.#turned();
      const left = until - performance.now();
      if (left <= 0) break;
      await pause(Math.min(left, BEAT_MS), woken);
    }
    this.#wake = new AbortController();
  }

  #turned(): void {
    const runs = [...this.#running.values()];
    if (!runs.every(({ turned }) => turned)) return;
    for (const run of runs) run.turned = false;
    this.#onTurn();
  }

  /** Waits for what is at work. */
  async drained(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ end }) => end));
  }

  /** Documented in docs/policy-run.md. */
  status(): unknown {
    const { every, version } = this.#options;
    return {
      schema: 1,
      service: 'policy-run',
      time: new Date().toISOString(),
      process: { pid: process.pid, version, startedAt: this.#started.toISOString() },
      everySeconds: every / 1000,
      next: this.#next?.toISOString() ?? null,
      names: this.#options.names,
      running: [...this.#running].map(([policy, { since, progress }]) => ({
        policy,
        since: since.toISOString(),
        ...progress?.(),
      })),
      last: [...this.#last.values()].map(({ at, result }) => ({
        at: at.toISOString(),
        ...toJson([result], false).policies[0],
      })),
    };
  }

  async reload(): Promise<{ policies: readonly string[] }> {
    const { log, reload } = this.#options;
    try {
      const { config } = await reload();
      const policies = await this.#namesIn(config);
      this.#config = config;
      log.setLevel(config.log.level);
      log.info('configuration read again', { policies });
      return { policies };
    } catch (error) {
      log.error('configuration could not be read again, the old one stays in force', { err: error });
      throw error;
    }
  }

  /** Looks at the triggers at once. */
  runNow(): { begun: true } {
    this.#wake.abort();
    return { begun: true };
  }

  async #namesIn(config: Config): Promise<string[]> {
    const { policies } = await loadPolicies(config);
    const { names } = this.#options;
    return names.length === 0 ? [...policies.keys()] : [...names];
  }

  async #begin(): Promise<void> {
    const { log } = this.#options;
    const names = await this.#namesIn(this.#config).catch((error: unknown) => {
      // A user or group of a condition that the directory service does not tell just now.
      log.error('policies could not be read', { err: error });
      return [];
    });
    for (const name of names) {
      if (this.#running.has(name)) continue;
      const end = this.#run(name).finally(() => this.#running.delete(name));
      this.#running.set(name, { since: new Date(), end, turned: true });
    }
  }

  async #run(name: string): Promise<void> {
    const { log, version, maxFiles, maxBytes, maxDuration, wait, signal } = this.#options;
    try {
      const results = await runOnce({
        ...{ config: this.#config, names: [], only: [name], log, version, dryRun: false, signal },
        ...{ maxFiles, maxBytes, maxDuration, wait },
        onProgress: (progress) => {
          const running = this.#running.get(name);
          if (running !== undefined) running.progress = progress;
        },
        onTurn: () => {
          const running = this.#running.get(name);
          if (running !== undefined) running.turned = true;
        },
      });
      for (const result of results) {
        if ('summary' in result || 'locked' in result || 'failed' in result)
          this.#last.set(name, { at: new Date(), result });
      }
    } catch (error) {
      if (!signal.aborted) log.error('policy could not be run', { policy: name, err: error });
    }
  }
}
