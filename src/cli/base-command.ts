import { Command, Flags } from '@oclif/core';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { EXIT, type ExitName } from '../service/exit-code.ts';
import type { ServiceLog } from '../service/log.ts';
import { type Shutdown, takeSignals } from '../service/shutdown.ts';
import { failureOf } from './failure.ts';

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** The flags of every command, as `parse` gives them. */
export interface GlobalFlags {
  readonly config?: string | undefined;
  readonly 'log-level'?: string | undefined;
}

/**
 * What every command is made of: parse flags, call one engine with typed options, render. `run` returns what --json
 * prints. Flags that back a setting have no default of oclif's: defaults are the configuration's.
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;
  static override baseFlags = {
    config: Flags.string({
      description: 'configuration file (default: LFSAZSYNC_CONFIG, else /etc/lfsazsync/config.yaml)',
      helpValue: 'FILE',
      helpGroup: 'GLOBAL',
    }),
    'log-level': Flags.option({
      description: 'lowest level that is logged',
      options: LEVELS,
      helpGroup: 'GLOBAL',
    })(),
  };

  #shutdown: Shutdown | undefined;

  /** Taken over at first use: a command that never asks is simply ended by a signal. */
  protected get shutdown(): Shutdown {
    this.#shutdown ??= takeSignals((exit) => EXIT[exit].code);
    return this.#shutdown;
  }

  /**
   * Loads the configuration with the flags laid over it, and says on standard error what is odd about it.
   * @param settings which further flag sets which setting, such as `{ concurrency: 'copytool.concurrency' }`
   */
  protected async loadConfig(
    flags: GlobalFlags & Readonly<Record<string, unknown>>,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<LoadedConfig> {
    const [loaded, { credentialWarnings }] = await Promise.all([
      this.readConfig(flags, settings),
      import('../config/credential-source.ts'),
    ]);
    for (const warning of [...loaded.warnings, ...(await credentialWarnings(loaded.config))]) this.warning(warning);
    return loaded;
  }

  /** The same without a word, as for reading it once more. */
  protected async readConfig(
    flags: GlobalFlags & Readonly<Record<string, unknown>>,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<LoadedConfig> {
    const { loadConfig } = await import('../config/load.ts');
    const flagValues = Object.entries({ 'log-level': 'log.level', ...settings })
      .filter(([name]) => flags[name] !== undefined)
      .map(([name, path]) => ({ flag: `--${name}`, path, value: flags[name] }));
    return await loadConfig({ file: flags.config, flags: flagValues });
  }

  /** Opens the log as configured; `name` is the service's. */
  protected async openLog(name: string, log: Config['log']): Promise<ServiceLog> {
    const { openLog } = await import('../service/log.ts');
    return openLog({ name, level: log.level, file: log.file });
  }

  /** How the process is to end although nothing was thrown, such as `partial`. */
  protected endWith(exit: ExitName): void {
    process.exitCode = EXIT[exit].code;
  }

  /** A line for people on standard error, with --json too. */
  protected warning(message: string): void {
    process.stderr.write(`warning: ${message}\n`);
  }

  /** An abort that a signal caused counts as ended by that signal, whatever the error has become on its way. */
  override async catch(error: Error): Promise<never> {
    const shutdown = this.#shutdown;
    throw shutdown?.exit() !== undefined && error.name === 'AbortError' ? shutdown.drain.reason : error;
  }

  override async finally(error: Error | undefined): Promise<void> {
    const exit = this.#shutdown?.exit();
    if (error === undefined && exit !== undefined) this.endWith(exit);
    this.#shutdown?.dispose();
  }

  protected override toErrorJson(error: unknown): unknown {
    return { error: failureOf(error) };
  }
}
