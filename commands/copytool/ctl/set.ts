import { Args } from '@oclif/core';
import { CopytoolControlCommand } from '../../../src/cli/ctl-command.ts';
import type { Change } from '../../../src/config/setting-changes.ts';

export default class CopytoolCtlSet extends CopytoolControlCommand {
  static override summary = 'Change a setting of the running copytool';
  static override description =
    'Takes effect at once, for transfers under way, too, and holds until the copytool is restarted or reads its ' +
    'configuration again (SIGHUP, `copytool ctl reload`). To keep it, write it into the configuration as well. ' +
    '`copytool ctl status --json` lists the settings that can be changed (`live`).';
  static override examples = [
    '<%= config.bin %> <%= command.id %> bandwidth 500MiB/s',
    '<%= config.bin %> <%= command.id %> bandwidth_archive unlimited',
    '<%= config.bin %> <%= command.id %> concurrency 32',
    '<%= config.bin %> <%= command.id %> log.level debug',
  ];
  static override args = {
    setting: Args.string({
      description: 'its name as in the configuration; `copytool.` may be left out',
      required: true,
    }),
    value: Args.string({ description: 'its value, as in the configuration', required: true }),
  };

  async run(): Promise<Change> {
    const { args, flags } = await this.parse(CopytoolCtlSet);
    const change = await this.ask<Change>(await this.target(flags), 'set', args);
    const { setting, from = 'unset', to = 'unset' } = change;
    this.log(`${setting}: ${from} -> ${to}, until the next SIGHUP or restart`);
    return change;
  }
}
