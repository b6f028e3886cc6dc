import {
  RequestCommand,
  type RequestResult,
  requestArgs,
  requestFlags,
  waitFlags,
} from '../src/cli/request-command.ts';

export default class Remove extends RequestCommand {
  static override summary = "Ask for files' copies to be removed from the container; the files stay";
  static override description = 'A released file is refused: its copy is its only data. Restore it first.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /mnt/lustre/results.h5',
    '<%= config.bin %> <%= command.id %> --recursive --dry-run /mnt/lustre/scratch',
  ];
  static override strict = false;
  static override args = requestArgs;
  static override flags = { ...requestFlags, ...waitFlags };

  async run(): Promise<RequestResult> {
    const { argv, flags } = await this.parse(Remove);
    return await this.request('remove', argv, flags);
  }
}
