import { Flags } from '@oclif/core';
import { JournalCommand } from '../../src/cli/journal-command.ts';
import { renderTable } from '../../src/cli/table.ts';
import type { JournalRow } from '../../src/status/journal.ts';

interface JournalList {
  readonly count: number;
  readonly quarantined: number;
  readonly entries: readonly JournalRow[];
}

export default class JournalListCommand extends JournalCommand {
  static override summary = 'Show what is not yet right in the container';
  static override description =
    'First what was given up for now, with the error; then what waits for the follower, longest due first.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --quarantined --limit 1000 --json',
  ];
  static override flags = {
    quarantined: Flags.boolean({ description: 'only what was given up for now' }),
    limit: Flags.integer({ description: 'show at most this many files', helpValue: 'N', min: 1, default: 100 }),
  };

  async run(): Promise<JournalList> {
    const { flags } = await this.parse(JournalListCommand);
    const { journalRows, placeOf } = await import('../../src/status/journal.ts');
    return await this.withCatalog(flags, { readOnly: true }, async (catalog) => {
      const { count, quarantined } = await catalog.journalStats();
      const entries: JournalRow[] = [];
      const options = { quarantinedOnly: flags.quarantined, limit: flags.limit };
      for await (const row of journalRows(catalog, options)) entries.push(row);
      if (entries.length > 0) {
        const cells = entries.map((row) => [
          row.fid,
          row.state,
          String(row.tries),
          row.since,
          row.reasons.join(','),
          placeOf(row),
          row.error ?? '',
        ]);
        this.log(renderTable(['FID', 'STATE', 'TRIES', 'SINCE', 'REASONS', 'PATH', 'ERROR'], cells));
      }
      this.log(`${count} in the journal, ${quarantined} of them given up for now`);
      return { count, quarantined, entries };
    });
  }
}
