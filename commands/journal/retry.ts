import { JournalCommand, journalArgs, quarantinedFlag } from '../../src/cli/journal-command.ts';

export default class JournalRetry extends JournalCommand {
  static override summary = 'Make the follower retry what it gave up, or what waits, at once';
  static override description = 'Failures are counted from zero again. A running follower notices by itself.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --quarantined',
    '<%= config.bin %> <%= command.id %> 0x200000401:0x1f:0x0',
    '<%= config.bin %> <%= command.id %> /mnt/lustre/projects/results.h5',
  ];
  static override strict = false;
  static override args = journalArgs;
  static override flags = quarantinedFlag;

  async run(): Promise<{ named: number; found: number }> {
    const { argv, flags } = await this.parse(JournalRetry);
    const result = await this.change(argv, flags, (catalog, fids) => catalog.journalRetry(fids));
    const { named, found } = result;
    this.log(`${found} of ${named} will be tried again${found < named ? ': the others are not in the journal' : ''}`);
    if (found < named) this.endWith('partial');
    return result;
  }
}
