import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import type { FollowJson } from '../src/follow/report.ts';

export default class ChangelogFollow extends BaseCommand {
  static override summary = 'Keep the containers in step with the file system: names, links, metadata, deletions';
  static override description =
    'Reads the changelogs of all metadata servers into the catalog, and carries the changes to the containers, ' +
    'until it is stopped. Runs in the foreground and logs JSON lines to standard error, or to the configured ' +
    'file. The first SIGTERM or SIGINT lets running work finish, the second stops at once. Run one follower per ' +
    'file system. With --once it catches up and exits.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --once',
    '<%= config.bin %> <%= command.id %> --once --json',
  ];
  static override flags = {
    once: Flags.boolean({ description: 'catch up with everything so far, and exit' }),
  };

  async run(): Promise<FollowJson | undefined> {
    const { flags } = await this.parse(ChangelogFollow);
    const { shutdown } = this;
    const loaded = await this.loadConfig(flags);
    const log = await this.openLog('changelog-follow', loaded.config.log);
    try {
      const { runFollower } = await import('../src/follow/service/start.ts');
      const reload = () => this.readConfig(flags);
      const caughtUp = await runFollower({
        ...{ loaded, reload, version: this.config.version, log, shutdown, once: flags.once },
      });
      if (caughtUp === undefined) return undefined;
      const report = await import('../src/follow/report.ts');
      const exit = shutdown.exit() ?? report.exitOf(caughtUp.left);
      for (const line of report.summaryLines(caughtUp)) this.log(line);
      this.endWith(exit);
      return report.toJson(caughtUp, exit);
    } catch (error) {
      log.error('follower failed', { err: error });
      throw error;
    } finally {
      log.close();
    }
  }
}
