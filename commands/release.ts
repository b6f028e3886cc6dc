import { Flags } from '@oclif/core';
import { RequestCommand, type RequestResult, requestArgs, requestFlags } from '../src/cli/request-command.ts';

export default class Release extends RequestCommand {
  static override summary = 'Free the space of archived files: their data stays in the container only';
  static override description =
    'Before a file is released, its copy is looked up and recognised in the container, by the rules of a restore. ' +
    'The next read brings the data back.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /mnt/lustre/results.h5',
    '<%= config.bin %> <%= command.id %> --recursive --larger 16MiB --older-than 7d /mnt/lustre/projects',
  ];
  static override strict = false;
  static override args = requestArgs;
  static override flags = {
    ...requestFlags,
    verify: Flags.boolean({ description: 'look up the copy first', default: true, allowNo: true }),
    wait: Flags.boolean({
      char: 'w',
      description: 'accepted as in the other requests; a release is always waited for',
    }),
  };

  async run(): Promise<RequestResult> {
    const { argv, flags } = await this.parse(Release);
    return await this.request('release', argv, { ...flags, wait: false }, { verify: flags.verify });
  }
}
