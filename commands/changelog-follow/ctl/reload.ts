import { FollowControlCommand } from '../../../src/cli/ctl-command.ts';
import type { Change } from '../../../src/config/setting-changes.ts';
import type { Reloaded } from '../../../src/follow/service/settings.ts';

export default class ChangelogFollowCtlReload extends FollowControlCommand {
  static override summary = 'Make the running follower read its configuration again, as on SIGHUP';
  static override description =
    'Says what has changed, and what takes effect only after a restart. If the configuration has a mistake, ' +
    'nothing changes. Unlike SIGHUP, it leaves logs and credentials alone.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<Reloaded> {
    const { flags } = await this.parse(ChangelogFollowCtlReload);
    const result = await this.ask<Reloaded>(await this.target(flags), 'reload');
    const line = ({ setting, from = 'unset', to = 'unset' }: Change) => `${setting}: ${from} -> ${to}`;
    for (const change of result.changed) this.log(line(change));
    for (const change of result.restart) this.log(`${line(change)} (after a restart)`);
    if (result.changed.length + result.restart.length === 0) this.log('nothing has changed');
    return result;
  }
}
