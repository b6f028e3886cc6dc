import { Args, Flags } from '@oclif/core';
import { CopytoolControlCommand } from '../../../src/cli/ctl-command.ts';
import { renderPauses } from '../../../src/cli/pauses.ts';
import type { PauseTable } from '../../../src/copytool/control.ts';
import { ACTION_KINDS } from '../../../src/copytool/stats.ts';

export default class CopytoolCtlPause extends CopytoolControlCommand {
  static override summary = 'Pause the running copytool: it starts nothing new';
  static override description =
    'Actions that Lustre sends are still accepted and kept alive, for hours if need be, and begin after `copytool ' +
    'ctl resume`; readers of released files wait until then. Running actions are finished, or with --now held ' +
    'before their next block. Cancels still work. A pause survives SIGHUP, but not a restart.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> archive',
    '<%= config.bin %> <%= command.id %> all --now',
  ];
  static override args = {
    kind: Args.string({
      description: 'kind of action',
      options: [...ACTION_KINDS, 'all'],
      default: 'all',
    }),
  };
  static override flags = {
    now: Flags.boolean({ description: 'also hold running actions, before their next block' }),
  };

  async run(): Promise<{ paused: PauseTable }> {
    const { args, flags } = await this.parse(CopytoolCtlPause);
    const kinds = args.kind === 'all' ? ACTION_KINDS : [args.kind];
    const result = await this.ask<{ paused: PauseTable }>(await this.target(flags), 'pause', { kinds, now: flags.now });
    this.log(renderPauses(result.paused));
    return result;
  }
}
