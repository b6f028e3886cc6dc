import { Flags } from '@oclif/core';
import type { VerifyJson } from '../src/audit/verify/report.ts';
import type { VerifyFinding } from '../src/audit/verify/types.ts';
import { BaseCommand } from '../src/cli/base-command.ts';
import { ProgressDisplay } from '../src/cli/progress-display.ts';
import { parseDuration } from '../src/service/units.ts';

const duration = Flags.custom<number>({ parse: async (text) => parseDuration(text), helpValue: 'DURATION' });

/** Findings that are shown one by one; all are counted, and in the report. */
const EXAMPLES = 100;
/** Followers are rarely further behind. */
const SETTLE_MS = 10_000;

export default class Verify extends BaseCommand {
  static override summary = 'Compare file system, catalog and container with each other';
  static override description =
    'Reports every difference: blobs that are missing, orphaned, of the wrong version, size, owner or place; ' +
    'errors in the catalog. No released file is restored. Without --repair nothing is changed.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --path /mnt/lustre/projects --checksum --report findings.ndjson',
    '<%= config.bin %> <%= command.id %> --repair --json',
  ];
  static override flags = {
    path: Flags.string({ description: 'only this directory and what is below it', helpValue: 'DIRECTORY' }),
    checksum: Flags.boolean({ description: 'read the copies’ contents, and those of files whose data are in Lustre' }),
    repair: Flags.boolean({ description: 'hand what can be repaired to the follower or the next archive' }),
    report: Flags.string({ description: 'write one line of JSON for each finding to this file', helpValue: 'FILE' }),
    settle: duration({
      description: 'report only differences that are still there after this time (default: 10s)',
    }),
    parallel: Flags.integer({
      description: 'requests sent at the same time (default: the setting sweep.parallel)',
      helpValue: 'N',
      min: 1,
      max: 64,
    }),
  };

  async run(): Promise<VerifyJson> {
    const { flags } = await this.parse(Verify);
    const { config } = await this.loadConfig(flags, { parallel: 'sweep.parallel' });
    const log = await this.openLog('verify', config.log);
    const [{ startVerify }, report, { rawArguments }] = await Promise.all([
      import('../src/audit/verify/start.ts'),
      import('../src/audit/verify/report.ts'),
      import('../src/request/paths.ts'),
    ]);
    const display = new ProgressDisplay();
    const named: VerifyFinding[] = [];
    let found = 0;
    try {
      const { summary, ...place } = await startVerify({
        ...{ config, log, version: this.config.version },
        path: flags.path === undefined ? undefined : rawArguments([flags.path])[0],
        parallel: config.sweep.parallel,
        checksum: flags.checksum,
        settle: flags.settle ?? SETTLE_MS,
        repair: flags.repair,
        report: flags.report,
        signal: this.shutdown.drain,
        onProgress: (progress) => display.update(() => report.progressLine(progress(), display.width)),
        onFinding: (finding) => {
          found += 1;
          if (found > EXAMPLES) return;
          named.push(finding);
          display.line(report.findingLine(finding));
        },
      });
      display.clear();
      const exit = this.shutdown.exit() ?? report.exitOf(summary);
      for (const line of report.summaryLines(summary)) this.log(line);
      this.endWith(exit);
      return report.toJson(summary, place, { named, leftOut: found - named.length }, exit);
    } finally {
      display.clear();
      log.close();
    }
  }
}
