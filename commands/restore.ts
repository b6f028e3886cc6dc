import { Flags } from '@oclif/core';
import {
  RequestCommand,
  type RequestResult,
  requestArgs,
  requestFlags,
  waitFlags,
} from '../src/cli/request-command.ts';

export default class Restore extends RequestCommand {
  static override summary = 'Ask for the data of released files to be brought back';
  static override description =
    'Files whose data is in Lustre need nothing. Reading a released file restores it, too; this command ' +
    'prefetches many at once. However many there are, the coordinator gets only a few at a time.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /mnt/lustre/results.h5',
    '<%= config.bin %> <%= command.id %> --recursive --wait --wait-timeout 2h /mnt/lustre/projects',
  ];
  static override strict = false;
  static override args = requestArgs;
  static override flags = {
    ...requestFlags,
    ...waitFlags,
    outstanding: Flags.integer({
      description: 'most restores asked for but not finished (default: the setting request.restore_outstanding)',
      helpValue: 'N',
      min: 1,
    }),
    rate: Flags.string({
      description: 'most files asked for per second, or unlimited (default: the setting request.restore_rate)',
      helpValue: 'N',
    }),
  };

  async run(): Promise<RequestResult> {
    const { argv, flags } = await this.parse(Restore);
    return await this.request('restore', argv, flags);
  }
}
