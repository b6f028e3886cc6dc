import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { choiceFlags } from '../src/cli/choice-flags.ts';
import { ProgressDisplay } from '../src/cli/progress-display.ts';
import { renderTable } from '../src/cli/table.ts';
import type { ReportJson } from '../src/query/report-output.ts';

// As DIMENSIONS of src/query/report.ts, which is not loaded for --help.
const BY = ['user', 'group', 'project', 'type', 'state', 'archive', 'class', 'size', 'age'] as const;

export default class Report extends BaseCommand {
  static override summary = 'Add up what is in the file system';
  static override description =
    'Counts, sizes and space in Lustre by user, group, project, type, HSM state, archive, class, file size and ' +
    'last use; the largest files and the fullest directories. From the catalog: Lustre is not asked.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --by user --by state --csv > usage.csv',
    '<%= config.bin %> <%= command.id %> --by age --type f --user alice --top-files 20',
  ];
  static override flags = {
    by: Flags.option({
      description: 'what to add up by; may be repeated (default: type, state and user)',
      options: BY,
      multiple: true,
    })(),
    'top-files': Flags.integer({
      description: 'show this many of the largest files',
      helpValue: 'N',
      min: 1,
      max: 10_000,
    }),
    'top-directories': Flags.integer({
      description: 'show this many of the directories with the most direct entries, whatever is chosen',
      helpValue: 'N',
      min: 1,
      max: 10_000,
    }),
    'top-users': Flags.integer({
      description: 'show only this many users, those with the most data',
      helpValue: 'N',
      min: 1,
      max: 10_000,
    }),
    csv: Flags.boolean({
      description: 'comma-separated values, numbers in bytes; an empty line between tables',
      exclusive: ['json'],
    }),
    ...choiceFlags,
  };

  async run(): Promise<ReportJson> {
    const { flags } = await this.parse(Report);
    const { config } = await this.readConfig({ config: flags.config });
    const [
      { report },
      output,
      { conditionOf },
      { accountNames },
      { loadPolicies },
      { openCatalog, WALK_CACHE },
      { catalogFile },
    ] = await Promise.all([
      import('../src/query/report.ts'),
      import('../src/query/report-output.ts'),
      import('../src/query/condition.ts'),
      import('../src/query/account-names.ts'),
      import('../src/policy/policies.ts'),
      import('../src/catalog/open.ts'),
      import('../src/catalog/place.ts'),
    ]);
    const where = await conditionOf(flags, config);
    const { classes } = await loadPolicies(config);
    const display = new ProgressDisplay();
    const catalog = openCatalog({ file: catalogFile(config.stateDir), readOnly: true, cacheBytes: WALK_CACHE });
    try {
      const found = await report({
        catalog,
        by: [...new Set(flags.by ?? (['type', 'state', 'user'] as const))],
        topFiles: flags['top-files'] ?? 0,
        topDirectories: flags['top-directories'] ?? 0,
        topUsers: flags['top-users'] ?? 0,
        where: where.kind === 'constant' && where.value ? undefined : where,
        classes,
        now: Date.now(),
        onProgress: (entries) => display.update(() => `${entries} entries`),
        signal: this.shutdown.drain,
      });
      display.clear();
      const keys = (by: string) =>
        found.sections.find((section) => section.by === by)?.rows.map(({ key }) => key) ?? [];
      const owners = found.files.map(({ entry }) => String(entry.uid));
      const names = {
        users: await accountNames('passwd', [...new Set([...keys('user'), ...owners])]),
        groups: await accountNames('group', keys('group')),
      };
      const tables = output.tablesOf(found, names, flags.csv);
      if (flags.csv) this.log(tables.map(output.csvOf).join('\n').trimEnd());
      else for (const { header, rows } of tables) this.log(`${renderTable(header, rows)}\n`);
      return output.toJson(found, names, config.mount);
    } finally {
      display.clear();
      catalog.close();
    }
  }
}
