import type { LoadedConfig } from '../../config/load.ts';
import { type Change, differences } from '../../config/setting-changes.ts';
import { settingsOf } from '../../config/show.ts';
import type { Config } from '../../config/types.ts';
import type { Log } from '../../service/log.ts';

/** What can change while the follower runs; everything else is read once, at its start. */
export const LIVE_SETTINGS = [
  'log.level',
  'follow.settle',
  'follow.max_tries',
  'follow.restores',
  'follow.drain_timeout',
  'removal.grace',
  'removal.by',
  'removal.max_delete_share',
  'removal.max_delete_free',
  'removal.window',
  'sweep.interval',
  'sweep.parallel',
] as const;

export interface Reloaded {
  /** In force now. */
  readonly changed: readonly Change[];
  /** In force after a restart. */
  readonly restart: readonly Change[];
}

/** The settings of a running follower: as it was started, or as the file says since the last SIGHUP. */
export class FollowSettings {
  readonly #started: LoadedConfig;
  readonly #read: () => Promise<LoadedConfig>;
  readonly #log: Log;
  readonly #apply: (config: Config) => void;
  #current: LoadedConfig;
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(o: {
    loaded: LoadedConfig;
    reload: () => Promise<LoadedConfig>;
    log: Log;
    /** Told of what is in force after a change. */
    apply: (config: Config) => void;
  }) {
    this.#started = o.loaded;
    this.#current = o.loaded;
    this.#read = o.reload;
    this.#log = o.log;
    this.#apply = o.apply;
  }

  get follow(): Config['follow'] {
    const { settle, maxTries, restores, drainTimeout } = this.#current.config.follow;
    return { ...this.#started.config.follow, settle, maxTries, restores, drainTimeout };
  }

  get removal(): Config['removal'] {
    return this.#current.config.removal;
  }

  get sweep(): Config['sweep'] {
    return this.#current.config.sweep;
  }

  /** What the configuration says and the running follower does not heed. */
  get restart(): readonly Change[] {
    return differences(this.#started, this.#current).filter(({ setting }) => !isLive(setting));
  }

  /** All that concern it, as an operator would write them. */
  list(): { readonly setting: string; readonly value: string; readonly live: boolean }[] {
    const live = settingsOf(this.#current).filter(({ path }) => isLive(path));
    const fixed = settingsOf(this.#started).filter(({ path }) => !isLive(path) && CONCERNS.test(path));
    return [...fixed, ...live].map(({ path, value }) => ({ setting: path, value, live: isLive(path) }));
  }

  /** Reads the configuration again. One after the other. Rejects, and changes nothing, when something in it is wrong. */
  reload(): Promise<Reloaded> {
    const reloading = this.#reloading.then(() => this.#reload());
    this.#reloading = reloading.catch(() => {});
    return reloading;
  }

  async #reload(): Promise<Reloaded> {
    const next = await this.#read();
    const changed = differences(this.#current, next).filter(({ setting }) => isLive(setting));
    this.#current = next;
    const { restart } = this;
    for (const warning of next.warnings) this.#log.warn(warning);
    this.#log.info('configuration read again', { file: next.file, changed });
    if (restart.length > 0) this.#log.warn('some settings take effect after a restart', { settings: restart });
    this.#apply(next.config);
    return { changed, restart };
  }
}

const CONCERNS = /^(?:mount|mdts|state_dir|run_dir|follow\.|removal\.|sweep\.|scan\.|archives\.)/;

function isLive(setting: string): boolean {
  return LIVE_SETTINGS.some((live) => live === setting);
}
