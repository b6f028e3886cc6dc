import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { DEFAULT_CONFIG_FILE } from '../../src/config/default-file.ts';
import { writeTemplate } from '../../src/config/template.ts';

export default class ConfigInit extends BaseCommand {
  static override summary = 'Write a commented configuration file';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --force ./config.yaml',
  ];
  static override args = {
    file: Args.string({
      description: `file to write (default: --config, LFSAZSYNC_CONFIG, else ${DEFAULT_CONFIG_FILE})`,
    }),
  };
  static override flags = { force: Flags.boolean({ description: 'replace an existing file' }) };

  async run(): Promise<{ file: string }> {
    const { args, flags } = await this.parse(ConfigInit);
    const file = args.file ?? flags.config ?? (process.env['LFSAZSYNC_CONFIG'] || DEFAULT_CONFIG_FILE);
    await writeTemplate({ file, force: flags.force ?? false });
    this.log(`Wrote ${file}. Fill in endpoint, container and credential, then run 'lfsazsync config validate'.`);
    return { file };
  }
}
