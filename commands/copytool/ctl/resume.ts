import { Args } from '@oclif/core';
import { CopytoolControlCommand } from '../../../src/cli/ctl-command.ts';
import { renderPauses } from '../../../src/cli/pauses.ts';
import type { PauseTable } from '../../../src/copytool/control.ts';
import { ACTION_KINDS } from '../../../src/copytool/stats.ts';

export default class CopytoolCtlResume extends CopytoolControlCommand {
  static override summary = 'Resume the running copytool after a pause';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> restore'];
  static override args = {
    kind: Args.string({
      description: 'kind of action',
      options: [...ACTION_KINDS, 'all'],
      default: 'all',
    }),
  };

  async run(): Promise<{ paused: PauseTable }> {
    const { args, flags } = await this.parse(CopytoolCtlResume);
    const kinds = args.kind === 'all' ? ACTION_KINDS : [args.kind];
    const result = await this.ask<{ paused: PauseTable }>(await this.target(flags), 'resume', { kinds });
    this.log(renderPauses(result.paused));
    return result;
  }
}
