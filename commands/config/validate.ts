import { Args } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';

export default class ConfigValidate extends BaseCommand {
  static override summary = 'Check the configuration and name every problem with its place';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> ./config.yaml',
  ];
  static override args = { file: Args.string({ description: 'file to check (default: as for every command)' }) };

  async run(): Promise<{ file: string | null; valid: true; archives: number[] }> {
    const { args, flags } = await this.parse(ConfigValidate);
    const loaded = await this.loadConfig({ ...flags, config: args.file ?? flags.config });
    const archives = [...loaded.config.archives.keys()];
    const { placeholderWarnings } = await import('../../src/config/template.ts');
    for (const warning of placeholderWarnings(loaded.config.archives)) this.warning(warning);
    if (archives.length === 0) this.warning('no archive is configured: nothing can be archived or restored');
    this.log(
      `${loaded.file ?? 'The environment'} is valid: mount ${loaded.config.mount}, archives ${archives.join(', ') || 'none'}.`,
    );
    return { file: loaded.file ?? null, valid: true, archives };
  }
}
