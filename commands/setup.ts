import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import type { SetupResult } from '../src/setup/types.ts';

interface SetupJson {
  readonly mount: string;
  /** Null in a dry run that would make one, and where the identity was not looked at. */
  readonly uuid: string | null;
  readonly dry_run: boolean;
  readonly steps: readonly SetupResult[];
}

export default class Setup extends BaseCommand {
  static override summary =
    'Give the file system its identity, make the containers its own, and put the services onto the machine';
  static override description =
    'Checks the machine and each configured container, gives the file system a UUID, writes the UUID into the ' +
    'containers, creates the catalog and directories, and writes units for systemd and files for logrotate and ' +
    'tmpfiles. What is already right stays as it is; no service is started. With --take-over, a new and empty ' +
    'file system takes over the containers of one that is lost for good; their contents stay, to be imported.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --take-over 0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10',
    '<%= config.bin %> <%= command.id %> --uninstall',
  ];
  static override flags = {
    'dry-run': Flags.boolean({ char: 'n', description: 'show what would be done, and change nothing' }),
    'take-over': Flags.string({
      description: 'UUID of the lost file system whose containers this new one takes over',
      helpValue: 'OLD-UUID',
    }),
    services: Flags.boolean({
      allowNo: true,
      description: 'write the files of services (default: where systemd runs, or with --root)',
    }),
    'files-only': Flags.boolean({
      description: 'only update the files of the services, as after an upgrade',
      exclusive: ['take-over', 'uninstall'],
    }),
    uninstall: Flags.boolean({
      description: 'stop the services and remove their files; data, configuration and identity stay',
      exclusive: ['take-over'],
    }),
    root: Flags.string({
      description: 'write files below this directory instead of onto this machine',
      helpValue: 'DIR',
    }),
    program: Flags.string({ description: 'the program that the units start (default: this one)', helpValue: 'FILE' }),
    'skip-checks': Flags.boolean({
      description: 'continue even if a check of the machine, the mount or a container fails',
    }),
  };

  async run(): Promise<SetupJson> {
    const { flags } = await this.parse(Setup);
    const loaded = await this.loadConfig(flags);
    const { config } = loaded;
    const log = await this.openLog('setup', config.log);
    const [{ startSetup, setUpMachine }, { machineOptions, rootOf, wantsServices }] = await Promise.all([
      import('../src/setup/start.ts'),
      import('../src/setup/places.ts'),
    ]);
    const dryRun = flags['dry-run'];
    const { root, program, uninstall } = flags;
    const common = {
      ...{ config, log, dryRun, root: rootOf(root) },
      signal: this.shutdown.drain,
      onResult: ({ step, subject, state, detail }: SetupResult) =>
        this.log(`${step} ${subject}: ${state === 'would' ? 'would ' : ''}${detail}`),
    };
    try {
      const machine = () => machineOptions({ config, configFile: loaded.file, root, program });
      const { mount, uuid, results } =
        uninstall || flags['files-only']
          ? await setUpMachine({ ...common, machine: await machine(), remove: uninstall })
          : await startSetup({
              ...common,
              version: this.config.version,
              takeOver: flags['take-over'],
              machine: wantsServices(flags.services, root) ? await machine() : undefined,
              checks: !flags['skip-checks'],
              onCheck: (lines) => {
                for (const line of lines) this.log(line);
              },
            });
      if (dryRun) this.log('A dry run: nothing was changed.');
      return { mount, uuid: uuid ?? null, dry_run: dryRun, steps: results };
    } finally {
      log.close();
    }
  }
}
