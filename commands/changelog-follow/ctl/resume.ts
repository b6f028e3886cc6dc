import { FollowControlCommand } from '../../../src/cli/ctl-command.ts';
import { renderFollowPause } from '../../../src/cli/follow-status.ts';
import type { PauseState } from '../../../src/follow/service/control.ts';

export default class ChangelogFollowCtlResume extends FollowControlCommand {
  static override summary = 'Resume the running follower after a pause';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<PauseState> {
    const { flags } = await this.parse(ChangelogFollowCtlResume);
    const state = await this.ask<PauseState>(await this.target(flags), 'resume');
    this.log(renderFollowPause(state));
    return state;
  }
}
