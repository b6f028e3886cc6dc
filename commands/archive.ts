import { Flags } from '@oclif/core';
import {
  RequestCommand,
  type RequestResult,
  requestArgs,
  requestFlags,
  waitFlags,
} from '../src/cli/request-command.ts';

export default class Archive extends RequestCommand {
  static override summary = 'Ask for files to be archived: copied to the container';
  static override description =
    'Files that are already archived and unchanged since need nothing. The copytool does the work; add --wait to ' +
    'wait for it.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /mnt/lustre/results.h5',
    '<%= config.bin %> <%= command.id %> --recursive --older-than 30m --wait /mnt/lustre/projects',
    'find /mnt/lustre -size +1G -print0 | <%= config.bin %> <%= command.id %> --files-from - --from0',
  ];
  static override strict = false;
  static override args = requestArgs;
  static override flags = {
    ...requestFlags,
    ...waitFlags,
    archive: Flags.integer({
      description: 'archive id (default: the only one configured)',
      helpValue: 'ID',
      min: 1,
      max: 65_535,
      // As `import` names it.
      aliases: ['archive-id'],
    }),
    data: Flags.string({ description: 'opaque data for the copytool', helpValue: 'TEXT' }),
  };

  async run(): Promise<RequestResult> {
    const { argv, flags } = await this.parse(Archive);
    return await this.request('archive', argv, flags, { archive: flags.archive, data: flags.data });
  }
}
