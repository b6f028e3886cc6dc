import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { ProgressDisplay } from '../src/cli/progress-display.ts';
import type { NamedProblem, NamedRefusal, ScanJson } from '../src/scan/report.ts';

/** Lines about what could not be read before they are only counted. */
const PROBLEM_LINES = 100;

export default class Scan extends BaseCommand {
  static override summary = 'Fill or refresh the catalog from the file system';
  static override description =
    'Walks the file system in parallel and reads attributes only: nothing is restored, changed or deleted. A scan ' +
    'that was stopped or killed continues where it was. The follower may run meanwhile.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --path /mnt/lustre/projects/new',
    '<%= config.bin %> <%= command.id %> --json',
  ];
  static override flags = {
    path: Flags.string({ description: 'only this directory and what is below it', helpValue: 'DIRECTORY' }),
    adopt: Flags.boolean({
      description: 'bind files that lemur archived to their blobs, if these prove to be their copies',
    }),
    restart: Flags.boolean({ description: 'start over instead of continuing a stopped scan' }),
    threads: Flags.integer({
      description: 'threads that walk the file system (default: the setting scan.threads)',
      helpValue: 'N',
      min: 1,
      max: 256,
    }),
  };

  async run(): Promise<ScanJson> {
    const { flags } = await this.parse(Scan);
    const { config } = await this.loadConfig(flags, { threads: 'scan.threads' });
    const log = await this.openLog('scan', config.log);
    const [{ startScan }, report, { rawArguments }] = await Promise.all([
      import('../src/scan/start.ts'),
      import('../src/scan/report.ts'),
      import('../src/request/paths.ts'),
    ]);
    const display = new ProgressDisplay();
    const named: NamedProblem[] = [];
    const refused: NamedRefusal[] = [];
    let problems = 0;
    let refusals = 0;
    try {
      const { summary, ...place } = await startScan({
        config,
        version: this.config.version,
        log,
        path: flags.path === undefined ? undefined : rawArguments([flags.path])[0],
        restart: flags.restart,
        adopt: flags.adopt,
        signal: this.shutdown.drain,
        onWarning: (message) => {
          display.clear();
          this.warning(message);
        },
        onProgress: (progress) => display.update(() => report.progressLine(progress(), display.width)),
        onProblem: (problem) => {
          problems += 1;
          if (problems > PROBLEM_LINES) return;
          named.push(problem);
          display.line(report.problemLine(problem));
        },
        onRefused: (refusal) => {
          refusals += 1;
          if (refusals > PROBLEM_LINES) return;
          refused.push(refusal);
          display.line(report.refusalLine(refusal));
        },
      });
      display.clear();
      const exit = this.shutdown.exit() ?? report.exitOf(summary);
      for (const line of report.summaryLines(summary)) this.log(line);
      this.endWith(exit);
      const left = { named: refused, leftOut: refusals - refused.length };
      return report.toJson(summary, place, { named, leftOut: problems - named.length }, exit, left);
    } finally {
      display.clear();
      log.close();
    }
  }
}
