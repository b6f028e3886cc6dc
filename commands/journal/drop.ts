import { JournalCommand, journalArgs, quarantinedFlag } from '../../src/cli/journal-command.ts';

export default class JournalDrop extends JournalCommand {
  static override summary = 'Forget what the journal has to put right for files';
  static override description =
    'The container stays as it is, and is wrong about these files until something about them changes, or a sweep ' +
    'finds it. To retry instead, use `journal retry`.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --quarantined',
    '<%= config.bin %> <%= command.id %> 0x200000401:0x1f:0x0',
    '<%= config.bin %> <%= command.id %> /mnt/lustre/projects/results.h5',
  ];
  static override strict = false;
  static override args = journalArgs;
  static override flags = quarantinedFlag;

  async run(): Promise<{ named: number; found: number }> {
    const { argv, flags } = await this.parse(JournalDrop);
    const result = await this.change(argv, flags, (catalog, fids) => catalog.journalDrop(fids));
    const { named, found } = result;
    this.log(`${found} of ${named} dropped${found < named ? ': the others are not in the journal' : ''}`);
    if (found < named) this.endWith('partial');
    return result;
  }
}
