import { Args } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { type ParsedPolicyRun, policyRunFlags } from '../src/cli/policy-run-command.ts';
import { ProgressDisplay } from '../src/cli/progress-display.ts';
import type { PolicyRunJson } from '../src/policy/run/report.ts';
import type { RunProgress } from '../src/policy/run/types.ts';
import { OperatorError } from '../src/service/errors.ts';

export default class PolicyRun extends BaseCommand {
  static override summary = 'Archive, release and remove what the policies say';
  static override description =
    'Chooses files from the catalog, checks them once more, and asks the coordinator for them. Made for cron: it ' +
    'runs the policies whose triggers fire, and prints nothing if there was nothing to do. A policy that is named ' +
    'runs whatever its interval says; with --target, whatever its triggers say.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --every 5m',
    '<%= config.bin %> <%= command.id %> archive --target path:/mnt/lustre/projects --wait',
    '<%= config.bin %> <%= command.id %> release --target ost:3 --dry-run --verbose',
    '<%= config.bin %> <%= command.id %> --check-triggers',
  ];
  static override strict = false;
  static override args = {
    policy: Args.string({
      description: 'archive, release, remove, or the name of another policy; several may be given',
      ignoreStdin: true,
    }),
  };
  static override flags = policyRunFlags;

  async run(): Promise<PolicyRunJson | undefined> {
    const { argv, flags } = await this.parse(PolicyRun);
    const names = argv.map(String);
    if (flags.target !== undefined && names.length === 0) {
      throw new OperatorError('--target needs the policy that is to be run.', {
        code: 'USAGE',
        exit: 'usage',
        hint: 'Name it: lfsazsync policy-run archive --target path:/mnt/lustre/projects',
      });
    }
    if (flags.every !== undefined) return await this.#stay(names, flags);
    return await this.#once(names, flags);
  }

  async #once(names: readonly string[], flags: ParsedPolicyRun): Promise<PolicyRunJson> {
    const { config } = await this.loadConfig(configFlags(flags));
    const log = await this.openLog('policy-run', config.log);
    // What was done is printed; without a log file, cron would send it twice.
    if (config.log.file === undefined && flags['log-level'] === undefined) log.setLevel('warn');
    const [{ runOnce }, report] = await Promise.all([
      import('../src/policy/run/once.ts'),
      import('../src/policy/run/report.ts'),
    ]);
    const display = new ProgressDisplay();
    const running = new Map<string, RunProgress>();
    const verbose = flags.verbose ?? false;
    const dryRun = flags['dry-run'] ?? false;
    try {
      const results = await runOnce({
        ...{ config, names, log, dryRun, version: this.config.version },
        checkOnly: flags['check-triggers'] ?? false,
        target: flags.target,
        ignoreConditions: flags['ignore-conditions'],
        maxFiles: flags['max-files'],
        maxBytes: flags['max-bytes'],
        maxDuration: flags['max-duration'],
        wait: flags.wait,
        waitLock: flags['wait-lock'],
        signal: this.shutdown.drain,
        // cron would send a line a minute by mail.
        onProgress: process.stderr.isTTY
          ? (progress) =>
              display.update(() => {
                const now = progress();
                running.set(now.policy, now);
                return report.progressLine([...running.values()], display.width);
              })
          : undefined,
      });
      display.clear();
      const all = verbose || dryRun || names.length > 0 || flags['check-triggers'] === true || process.stdout.isTTY;
      for (const result of results) {
        const wrong = 'locked' in result || 'failed' in result;
        for (const line of report.resultLines(result, all)) {
          if (wrong) this.warning(line);
          else this.log(line);
        }
        if (verbose && 'summary' in result) {
          for (const problem of result.summary?.problems ?? []) this.log(`  ${report.problemLine(problem)}`);
        }
      }
      if (dryRun) this.log('A dry run: nothing was touched.');
      this.endWith(report.exitOf(results));
      return report.toJson(results, dryRun);
    } finally {
      display.clear();
      log.close();
    }
  }

  async #stay(names: readonly string[], flags: ParsedPolicyRun): Promise<undefined> {
    const loaded = await this.loadConfig(configFlags(flags));
    const log = await this.openLog('policy-run', loaded.config.log);
    try {
      const { stay } = await import('../src/policy/run/resident.ts');
      await stay({
        ...{ loaded, names, log, version: this.config.version },
        reload: () => this.readConfig(configFlags(flags)),
        every: flags.every ?? 0,
        maxFiles: flags['max-files'],
        maxBytes: flags['max-bytes'],
        maxDuration: flags['max-duration'],
        wait: flags.wait,
        signal: this.shutdown.drain,
      });
    } catch (error) {
      log.error('policy-run failed', { err: error });
      throw error;
    } finally {
      log.close();
    }
  }
}

const configFlags = (flags: ParsedPolicyRun) => ({ config: flags.config, 'log-level': flags['log-level'] });
