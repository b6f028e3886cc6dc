import { FollowControlCommand } from '../../../src/cli/ctl-command.ts';
import { renderFollowPause } from '../../../src/cli/follow-status.ts';
import type { PauseState } from '../../../src/follow/service/control.ts';

export default class ChangelogFollowCtlPause extends FollowControlCommand {
  static override summary = 'Pause the running follower: it starts nothing new in the containers';
  static override description =
    'Records are still taken into the catalog, so that nothing is lost and the changelogs do not grow. Running ' +
    'work is finished. A pause survives SIGHUP, but not a restart.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<PauseState> {
    const { flags } = await this.parse(ChangelogFollowCtlPause);
    const state = await this.ask<PauseState>(await this.target(flags), 'pause');
    this.log(renderFollowPause(state));
    return state;
  }
}
