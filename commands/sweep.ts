import { Flags } from '@oclif/core';
import type { NamedFinding } from '../src/audit/start-sweep.ts';
import type { SweepJson } from '../src/audit/sweep-report.ts';
import { BaseCommand } from '../src/cli/base-command.ts';
import { ProgressDisplay } from '../src/cli/progress-display.ts';

/** Findings that are shown one by one; all are counted. */
const EXAMPLES = 100;

export default class Sweep extends BaseCommand {
  static override summary = 'Compare the container with the catalog';
  static override description =
    'Lists the container and puts what differs from the catalog into the journal, for the follower: late uploads, ' +
    'what a lost catalog left behind, changes by others, changes that no record reported. Nothing in the ' +
    'container is changed or deleted, and Lustre need not be mounted. A sweep that was stopped or killed ' +
    'continues where it was.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];
  static override flags = {
    restart: Flags.boolean({ description: 'start over instead of continuing a stopped sweep' }),
    parallel: Flags.integer({
      description: 'requests sent at the same time (default: the setting sweep.parallel)',
      helpValue: 'N',
      min: 1,
      max: 64,
    }),
  };

  async run(): Promise<SweepJson> {
    const { flags } = await this.parse(Sweep);
    const { config } = await this.loadConfig(flags, { parallel: 'sweep.parallel' });
    const log = await this.openLog('sweep', config.log);
    const [{ startSweep }, report] = await Promise.all([
      import('../src/audit/start-sweep.ts'),
      import('../src/audit/sweep-report.ts'),
    ]);
    const display = new ProgressDisplay();
    const named: NamedFinding[] = [];
    let found = 0;
    try {
      const { summary, ...place } = await startSweep({
        config,
        version: this.config.version,
        log,
        parallel: config.sweep.parallel,
        restart: flags.restart,
        signal: this.shutdown.drain,
        onWarning: (message) => {
          display.clear();
          this.warning(message);
        },
        onProgress: (progress) => display.update(() => report.progressLine(progress(), display.width)),
        onFinding: (finding) => {
          found += 1;
          if (found > EXAMPLES) return;
          named.push(finding);
          display.line(report.findingLine(finding));
        },
      });
      display.clear();
      const exit = this.shutdown.exit() ?? (summary.outcome === 'complete' ? 'ok' : 'partial');
      for (const line of report.summaryLines(summary)) this.log(line);
      this.endWith(exit);
      return report.toJson(summary, place, named, found - named.length, exit);
    } finally {
      display.clear();
      log.close();
    }
  }
}
