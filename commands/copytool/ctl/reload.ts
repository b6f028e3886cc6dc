import { CopytoolControlCommand } from '../../../src/cli/ctl-command.ts';
import type { Change } from '../../../src/config/setting-changes.ts';
import type { Reloaded } from '../../../src/copytool/settings.ts';

export default class CopytoolCtlReload extends CopytoolControlCommand {
  static override summary = 'Make the running copytool read its configuration again, as on SIGHUP';
  static override description =
    'Says what has changed, and what takes effect only after a restart. If the configuration has a mistake, ' +
    'nothing changes. Values set with `copytool ctl set` are replaced by the configuration. Unlike SIGHUP, it ' +
    'leaves logs and credentials alone.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<Reloaded> {
    const { flags } = await this.parse(CopytoolCtlReload);
    const result = await this.ask<Reloaded>(await this.target(flags), 'reload');
    const line = ({ setting, from = 'unset', to = 'unset' }: Change) => `${setting}: ${from} -> ${to}`;
    for (const change of result.changed) this.log(line(change));
    for (const change of result.restart) this.log(`${line(change)} (after a restart)`);
    if (result.changed.length + result.restart.length === 0) this.log('nothing has changed');
    return result;
  }
}
