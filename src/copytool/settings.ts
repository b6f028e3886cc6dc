import { ConfigError } from '../config/config-error.ts';
import { keyOf } from '../config/keys.ts';
import type { LoadedConfig } from '../config/load.ts';
import { type Change, changeOf, differences, writtenValue } from '../config/setting-changes.ts';
import { formatOrigin, type Setting, settingsOf } from '../config/show.ts';
import type { Config } from '../config/types.ts';
import { closest } from '../service/closest.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';

/** What can change while the copytool runs; everything else is read once, at its start. */
export const LIVE_SETTINGS = [
  'log.level',
  'copytool.concurrency',
  'copytool.restore_reserve',
  'copytool.bandwidth',
  'copytool.bandwidth_archive',
  'copytool.bandwidth_restore',
  'copytool.drain_timeout',
  'copytool.locate_timeout',
  'copytool.rehydrate_timeout',
] as const;

type Copytool = Config['copytool'];
type LiveCopytool = Pick<
  Copytool,
  | 'concurrency'
  | 'restoreReserve'
  | 'bandwidth'
  | 'bandwidthArchive'
  | 'bandwidthRestore'
  | 'drainTimeout'
  | 'locateTimeout'
  | 'rehydrateTimeout'
>;

/** The flag that a setting of `ctl set` counts as, where its origin is told. */
const BY_CONTROL = 'ctl set';

export interface Reloaded {
  /** In force now. */
  readonly changed: readonly Change[];
  /** In force after a restart. */
  readonly restart: readonly Change[];
}

/** A setting in force. */
export interface LiveSetting extends Omit<Setting, 'path' | 'origin'> {
  readonly setting: string;
  readonly from: string;
  readonly live: boolean;
}

export interface SettingsOptions {
  /** What the copytool was started with. */
  readonly loaded: LoadedConfig;
  /** Reads the configuration anew, with the same flags. */
  readonly reload: () => Promise<LoadedConfig>;
  /** More actions at the same time than this need a restart: the native helper has only so many threads. */
  readonly mostConcurrency: number;
  readonly log: Log;
}

/** The settings of a running copytool: as it was started, as the file says since the last SIGHUP, or as `ctl set` says. */
export class LiveSettings {
  readonly #options: SettingsOptions;
  readonly #started: LoadedConfig;
  /** As the file says. */
  #file: LoadedConfig;
  /** With what was set since; its live part is in force. */
  #current: LoadedConfig;
  readonly #set = new Map<string, string>();
  #copytool: Copytool;
  #apply: (config: Config) => void = () => {};
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(options: SettingsOptions) {
    this.#options = options;
    this.#started = options.loaded;
    this.#file = options.loaded;
    this.#current = options.loaded;
    this.#copytool = options.loaded.config.copytool;
  }

  /** Those in force now. */
  get copytool(): Copytool {
    return this.#copytool;
  }

  /** Calls `apply` now, and whenever settings change, with those in force. */
  follow(apply: (config: Config) => void): void {
    this.#apply = apply;
    this.#enforce(this.#current);
  }

  /**
   * Sets one setting until the next SIGHUP or restart. All of them are checked together, as in a file.
   * @param name its path; `copytool.` may be left out
   * @throws OperatorError: there is no such setting, it needs a restart, the value is none
   */
  set(name: string, value: string): Change {
    const setting = liveSetting(name);
    let next: LoadedConfig;
    try {
      next = this.#file.with(flagsOf(new Map([...this.#set, [setting, value]])));
    } catch (error) {
      throw error instanceof ConfigError ? refused(setting, value, error) : error;
    }
    this.#refuseTooMany(next);
    const from = writtenValue(this.#current, setting);
    this.#set.set(setting, value);
    this.#enforce(next);
    const change = changeOf(setting, from, writtenValue(next, setting));
    this.#options.log.info('setting changed', { ...change, until: 'the next SIGHUP or restart' });
    return change;
  }

  /**
   * Reads the configuration again and puts in force what can be; what `ctl set` has set counts no more. One after the
   * other. Rejects, and changes nothing, when something in it is wrong.
   */
  reload(): Promise<Reloaded> {
    const reloading = this.#reloading.then(() => this.#reload());
    this.#reloading = reloading.catch(() => {});
    return reloading;
  }

  /** What the configuration says and the running copytool does not heed. */
  get restart(): readonly Change[] {
    return differences(this.#started, this.#current).filter(
      ({ setting, to }) =>
        !isLive(setting) || (setting === 'copytool.concurrency' && Number(to) > this.#options.mostConcurrency),
    );
  }

  list(): LiveSetting[] {
    const current = new Map(settingsOf(this.#current).map((setting) => [setting.path, setting]));
    const started = settingsOf(this.#started).filter(({ path }) => !isLive(path));
    return [...started, ...LIVE_SETTINGS.flatMap((path) => current.get(path) ?? [])].map(({ path, value, origin }) => ({
      setting: path,
      value: path === 'copytool.concurrency' ? String(this.#copytool.concurrency) : value,
      from: formatOrigin(origin),
      live: isLive(path),
    }));
  }

  async #reload(): Promise<Reloaded> {
    const next = await this.#options.reload();
    const before = this.#current;
    this.#file = next;
    this.#set.clear();
    this.#enforce(next);
    const changed = differences(before, next).filter(({ setting }) => isLive(setting));
    const { restart } = this;
    const { log } = this.#options;
    for (const warning of next.warnings) log.warn(warning);
    log.info('configuration read again', { file: next.file, changed });
    if (restart.length > 0) log.warn('some settings take effect after a restart', { settings: restart });
    return { changed, restart };
  }

  #enforce(next: LoadedConfig): void {
    this.#current = next;
    this.#copytool = {
      ...this.#started.config.copytool,
      ...liveOf(next.config.copytool, this.#options.mostConcurrency),
    };
    this.#apply({
      ...this.#started.config,
      log: { ...this.#started.config.log, level: next.config.log.level },
      copytool: this.#copytool,
    });
  }

  #refuseTooMany(next: LoadedConfig): void {
    const { mostConcurrency } = this.#options;
    if (next.config.copytool.concurrency <= mostConcurrency) return;
    throw new OperatorError(`copytool.concurrency can be raised to ${mostConcurrency} while the copytool runs`, {
      code: 'SETTING_NEEDS_RESTART',
      exit: 'usage',
      hint: 'Write it into the configuration, and restart the copytool: its native helper then gets more threads.',
    });
  }
}

function liveOf(from: Copytool, mostConcurrency: number): LiveCopytool {
  return {
    concurrency: Math.min(from.concurrency, mostConcurrency),
    restoreReserve: Math.min(from.restoreReserve, mostConcurrency - 1),
    bandwidth: from.bandwidth,
    bandwidthArchive: from.bandwidthArchive,
    bandwidthRestore: from.bandwidthRestore,
    drainTimeout: from.drainTimeout,
    locateTimeout: from.locateTimeout,
    rehydrateTimeout: from.rehydrateTimeout,
  };
}

function isLive(setting: string): boolean {
  return LIVE_SETTINGS.some((live) => live === setting);
}

function liveSetting(name: string): string {
  for (const setting of [name, `copytool.${name}`]) {
    if (isLive(setting)) return setting;
    if (keyOf(setting.split('.')) === undefined) continue;
    throw new OperatorError(`${setting} can't be changed while the copytool runs`, {
      code: 'SETTING_NEEDS_RESTART',
      exit: 'usage',
      hint: `Change it in the configuration, and restart the copytool. These can: ${LIVE_SETTINGS.join(', ')}.`,
    });
  }
  const meant = closest(name, [
    ...LIVE_SETTINGS,
    ...LIVE_SETTINGS.map((setting) => setting.replace(/^copytool\./, '')),
  ]);
  throw new OperatorError(`there is no setting '${name}'`, {
    code: 'SETTING_UNKNOWN',
    exit: 'usage',
    hint: meant === undefined ? `These can be set: ${LIVE_SETTINGS.join(', ')}.` : `Did you mean '${meant}'?`,
  });
}

function flagsOf(set: ReadonlyMap<string, string>) {
  return [...set].map(([path, value]) => ({ flag: BY_CONTROL, path, value }));
}

function refused(setting: string, value: string, { problems }: ConfigError): OperatorError {
  const said = problems.map(({ path, message }) => `${path} ${message}`).join('; ');
  return new OperatorError(`${setting} can't be set to ${JSON.stringify(value)}: ${said}`, {
    code: 'SETTING_INVALID',
    exit: 'usage',
    hint: 'docs/configuration.md says which values it takes. Nothing was changed.',
  });
}
