import { Flags } from '@oclif/core';
import { CatalogCommand } from '../../src/cli/catalog-command.ts';
import { renderTable } from '../../src/cli/table.ts';
import type { PolicyRunRow } from '../../src/status/policy-runs.ts';

export default class PolicyRuns extends CatalogCommand {
  static override summary = 'Show the latest runs of the policies';
  static override description =
    'For each: what it found, what it asked for, and the outcome. Runs that found nothing to do are shown only ' +
    'with --all.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --policy release --limit 5 --json',
  ];
  static override flags = {
    policy: Flags.string({ description: 'only of this policy', helpValue: 'NAME' }),
    all: Flags.boolean({ description: 'also those that found nothing to do' }),
    limit: Flags.integer({
      description: 'show at most this many runs',
      helpValue: 'N',
      min: 1,
      max: 100_000,
      default: 20,
    }),
  };

  async run(): Promise<{ runs: PolicyRunRow[] }> {
    const { flags } = await this.parse(PolicyRuns);
    const { filesOf, policyRunRows } = await import('../../src/status/policy-runs.ts');
    return await this.withCatalog(flags, { readOnly: true }, async (catalog) => {
      const { policy, limit } = flags;
      const runs = await policyRunRows(catalog, { policy, limit, active: !flags.all });
      if (runs.length === 0) this.log('No runs.');
      else {
        const cells = runs.map(({ policy: name, started, ended, outcome, detail }) => {
          const count = (field: string) => String(filesOf(detail, field));
          const skipped = Object.values((detail['skipped'] ?? {}) as Record<string, number>).reduce((a, b) => a + b, 0);
          const seconds = ended === null ? '' : `${Math.round((Date.parse(ended) - Date.parse(started)) / 100) / 10}`;
          const trigger = (detail['trigger'] as { on?: string } | undefined)?.on ?? '';
          return [
            ...[started, name, trigger, outcome ?? 'at work', count('matched'), count('asked'), count('done')],
            ...[String(skipped), count('failed'), seconds],
          ];
        });
        const header = [
          'STARTED',
          'POLICY',
          'TRIGGER',
          'OUTCOME',
          'MATCHED',
          'ASKED',
          'DONE',
          'SKIPPED',
          'FAILED',
          'SECONDS',
        ];
        this.log(renderTable(header, cells));
      }
      return { runs };
    });
  }
}
