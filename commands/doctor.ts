import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import type { DoctorJson } from '../src/doctor/report.ts';

export default class Doctor extends BaseCommand {
  static override summary = 'Check everything that lfsazsync needs, and say what to do about what is wrong';
  static override description =
    'Examines the machine, the mount, the containers, the changelog, the coordinator and the services. Changes ' +
    'nothing, and needs no running service. On a client, what only the Lustre servers show is reported as ' +
    'unknown, with what to ask their administrators for.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --only container --only changelog',
    '<%= config.bin %> <%= command.id %> --administrator',
    '<%= config.bin %> <%= command.id %> --bundle /tmp/lfsazsync-support.tar.gz',
  ];
  static override flags = {
    only: Flags.string({
      description: 'only checks with this name, or that begin with it: container, container.clock',
      helpValue: 'NAME',
      multiple: true,
    }),
    administrator: Flags.boolean({
      description: 'print what to run on the Lustre servers, as commands and as a support request',
    }),
    bundle: Flags.string({
      description: 'write what support needs into this file (tar.gz), without secrets',
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<DoctorJson> {
    const { flags } = await this.parse(Doctor);
    const loaded = await this.loadConfig(flags);
    const { config } = loaded;
    const log = await this.openLog('doctor', config.log);
    const [{ examine }, report] = await Promise.all([
      import('../src/doctor/doctor.ts'),
      import('../src/doctor/report.ts'),
    ]);
    const lines = new report.ResultLines();
    try {
      const examined = await examine({
        ...{ config, log },
        version: this.config.version,
        signal: this.shutdown.drain,
        only: flags.only ?? [],
        onResult: (result) => {
          if (!flags.administrator) for (const line of lines.add(result)) this.log(line);
        },
      });
      const json = report.toJson(examined, this.config.version);
      if (flags.administrator) this.log([...json.administrator.commands, '', json.administrator.request].join('\n'));
      else for (const line of [...lines.end(), ...report.summaryLines(examined.results)]) this.log(line);
      if (flags.bundle !== undefined) {
        const { writeBundle } = await import('../src/doctor/bundle.ts');
        this.log(`wrote ${await writeBundle(flags.bundle, { loaded, doctor: json, signal: this.shutdown.drain })}`);
      }
      this.endWith(flags.administrator ? 'ok' : json.exit.name);
      return json;
    } finally {
      log.close();
    }
  }
}
