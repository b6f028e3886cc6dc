import { BaseCommand } from '../../src/cli/base-command.ts';
import { renderTable } from '../../src/cli/table.ts';
import { formatOrigin, type Setting, settingsOf } from '../../src/config/show.ts';

export default class ConfigShow extends BaseCommand {
  static override summary = 'Show every setting in force and where it comes from';
  static override description =
    'Flags come before the environment, the environment before the file, the file before the defaults.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];

  async run(): Promise<{ file: string | null; settings: Setting[] }> {
    const { flags } = await this.parse(ConfigShow);
    const loaded = await this.loadConfig(flags);
    const settings = settingsOf(loaded);
    const rows = settings.map(({ path, value, origin }) => [path, value === '' ? "''" : value, formatOrigin(origin)]);
    this.log(renderTable(['SETTING', 'VALUE', 'FROM'], rows));
    return { file: loaded.file ?? null, settings };
  }
}
