import { Flags } from '@oclif/core';
import { CatalogCommand } from '../../src/cli/catalog-command.ts';
import { renderTable } from '../../src/cli/table.ts';
import type { PolicyFailureRow } from '../../src/status/policy-runs.ts';

export default class PolicyFailures extends CatalogCommand {
  static override summary = 'Show the files that policies failed with';
  static override description =
    'A failed file is left alone for a while, longer each time, and after a number of failures until it is ' +
    'retried by hand.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];
  static override flags = {
    policy: Flags.string({ description: 'only of this policy', helpValue: 'NAME' }),
    limit: Flags.integer({ description: 'show at most this many files', helpValue: 'N', min: 1, default: 100 }),
  };

  async run(): Promise<{ failures: PolicyFailureRow[] }> {
    const { flags } = await this.parse(PolicyFailures);
    const [{ policyFailures }, { placeOf }, { failureKind }] = await Promise.all([
      import('../../src/status/policy-runs.ts'),
      import('../../src/status/journal.ts'),
      import('../../src/policy/run/backoff.ts'),
    ]);
    return await this.withCatalog(flags, { readOnly: true }, async (catalog, { policies }) => {
      const failures: PolicyFailureRow[] = [];
      for (const [name, { backoff }] of policies) {
        if (flags.policy !== undefined && flags.policy !== name) continue;
        for await (const row of policyFailures(catalog, name, failureKind(name), backoff.quarantineAfter)) {
          if (failures.length >= flags.limit) break;
          failures.push(row);
        }
      }
      if (failures.length === 0) this.log('Nothing fails.');
      else {
        const cells = failures.map((row) => [
          ...[row.policy, row.fid, String(row.failures), row.last, row.notBefore ?? 'quarantined', placeOf(row)],
          row.error,
        ]);
        this.log(renderTable(['POLICY', 'FID', 'FAILURES', 'LAST', 'NOT BEFORE', 'PATH', 'ERROR'], cells));
      }
      return { failures };
    });
  }
}
