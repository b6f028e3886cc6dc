import { FollowControlCommand } from '../../../src/cli/ctl-command.ts';
import { renderFollowStatus } from '../../../src/cli/follow-status.ts';
import type { FollowFigures } from '../../../src/follow/figures.ts';

export default class ChangelogFollowCtlStatus extends FollowControlCommand {
  static override summary = 'Show what the running follower is doing';
  static override description =
    'How far the changelogs are taken in, the oldest change that is not in the container yet, what waits, and ' +
    'what was given up. docs/follower.md describes what --json prints.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];

  async run(): Promise<FollowFigures> {
    const { flags } = await this.parse(ChangelogFollowCtlStatus);
    const figures = await this.ask<FollowFigures>(await this.target(flags), 'status');
    this.log(renderFollowStatus(figures));
    return figures;
  }
}
