import { FollowControlCommand } from '../../../src/cli/ctl-command.ts';
import type { BrakeReleased } from '../../../src/follow/service/control.ts';

export default class ChangelogFollowCtlReleaseBrake extends FollowControlCommand {
  static override summary = 'Allow the removals that the brake on mass deletions holds';
  static override description =
    'The brake stops removals when very many files were removed within a short time. Check first that this was ' +
    'intended: `changelog-follow ctl status` says how many, `undelete --list` which. What is dead by now may then ' +
    'be removed from the containers when its grace period is over; later deaths are counted anew.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<BrakeReleased> {
    const { flags } = await this.parse(ChangelogFollowCtlReleaseBrake);
    const result = await this.ask<BrakeReleased>(await this.target(flags), 'release-brake');
    this.log(`${result.released} dead may be removed`);
    return result;
  }
}
