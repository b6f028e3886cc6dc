import { FollowControlCommand } from '../../../src/cli/ctl-command.ts';
import type { BrakeReleased } from '../../../src/follow/service/control.ts';

export default class ChangelogFollowCtlReleaseBrake extends FollowControlCommand {
  static override summary = 'Allow the removals that the brake on mass deletions holds';
  static override description =
    'What is dead by now may be removed from the containers when its grace period is over; what dies later is counted ' +
    'anew. Look first whether it is right that it is dead: `changelog-follow ctl status` says how much it is.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<BrakeReleased> {
    const { flags } = await this.parse(ChangelogFollowCtlReleaseBrake);
    const result = await this.ask<BrakeReleased>(await this.target(flags), 'release-brake');
    this.log(`${result.released} dead may be removed`);
    return result;
  }
}
