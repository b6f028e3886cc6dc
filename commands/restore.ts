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
    'Files whose data is in Lustre need nothing. Reading a released file restores it, too; this does many at once, ahead of time.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /lustre/results.h5',
    '<%= config.bin %> <%= command.id %> --recursive --wait --wait-timeout 2h /lustre/projects',
  ];
  static override strict = false;
  static override args = requestArgs;
  static override flags = { ...requestFlags, ...waitFlags };

  async run(): Promise<RequestResult> {
    const { argv, flags } = await this.parse(Restore);
    return await this.request('restore', argv, flags);
  }
}
