import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import type { SetupResult } from '../src/setup/types.ts';

interface SetupJson {
  readonly mount: string;
  /** Null in a dry run that would make one. */
  readonly uuid: string | null;
  readonly dry_run: boolean;
  readonly steps: readonly SetupResult[];
}

export default class Setup extends BaseCommand {
  static override summary = 'Give the file system its identity, and make the containers its own';
  static override description =
    'Checks each configured container and its credential, gives the file system a UUID, writes the UUID into the containers and begins the catalog. What is right already stays as it is. With --take-over, a new and empty file system inherits the containers of one that is gone for ever; what is in them stays, to be imported.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --take-over 0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10',
  ];
  static override flags = {
    'dry-run': Flags.boolean({ char: 'n', description: 'show what would be done, and do nothing' }),
    'take-over': Flags.string({
      description: 'the UUID of the file system that is gone for ever, whose containers this new one gets',
      helpValue: 'OLD-UUID',
    }),
  };

  async run(): Promise<SetupJson> {
    const { flags } = await this.parse(Setup);
    const { config } = await this.loadConfig(flags);
    const log = await this.openLog('setup', config.log);
    const { startSetup } = await import('../src/setup/start.ts');
    const dryRun = flags['dry-run'];
    try {
      const { mount, uuid, results } = await startSetup({
        ...{ config, log, dryRun, takeOver: flags['take-over'] },
        signal: this.shutdown.drain,
        onResult: ({ step, subject, state, detail }) =>
          this.log(`${step} ${subject}: ${state === 'would' ? 'would ' : ''}${detail}`),
      });
      if (dryRun) this.log('A dry run: nothing was changed.');
      return { mount, uuid: uuid ?? null, dry_run: dryRun, steps: results };
    } finally {
      log.close();
    }
  }
}
