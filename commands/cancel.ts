import {
  RequestCommand,
  type RequestResult,
  requestArgs,
  requestFlags,
  waitFlags,
} from '../src/cli/request-command.ts';

export default class Cancel extends RequestCommand {
  static override summary = 'Cancel what is waiting or running for files: archives, restores, removals';
  static override description = 'Somebody who waits for a restore that is cancelled gets an error from the read.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /mnt/lustre/results.h5',
    '<%= config.bin %> <%= command.id %> --recursive --wait /mnt/lustre/projects',
  ];
  static override strict = false;
  static override args = requestArgs;
  static override flags = { ...requestFlags, ...waitFlags };

  async run(): Promise<RequestResult> {
    const { argv, flags } = await this.parse(Cancel);
    return await this.request('cancel', argv, flags);
  }
}
