import { existsSync } from 'node:fs';
import { Args } from '@oclif/core';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { renderTable } from '../../src/cli/table.ts';
import type { Config } from '../../src/config/types.ts';
import type { explanationJson } from '../../src/policy/explain-report.ts';

interface PolicyExplain {
  readonly at: string;
  readonly files: readonly ReturnType<typeof explanationJson>[];
}

export default class PolicyExplainCommand extends BaseCommand {
  static override summary = 'Show which class and rule files fall under, and when they are due';
  static override description =
    'Examines the files themselves, as the policies do before they act. The due time assumes that nothing about ' +
    'the file changes except its age; a release also waits for its trigger. Name removed files by FID.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /mnt/lustre/project/data.bin',
    '<%= config.bin %> <%= command.id %> --json /mnt/lustre/a /mnt/lustre/b',
  ];
  static override strict = false;
  static override args = {
    path: Args.string({ description: 'files, or FIDs; several may be given', required: true, ignoreStdin: true }),
  };

  async run(): Promise<PolicyExplain> {
    const { argv, flags } = await this.parse(PolicyExplainCommand);
    const { config } = await this.loadConfig({ config: flags.config });
    const [{ openFileSystem }, { loadPolicies }, { explain }, { explanationJson, explanationText }, { rawArguments }] =
      await Promise.all([
        import('../../src/lustre/file-system.ts'),
        import('../../src/policy/policies.ts'),
        import('../../src/policy/explain.ts'),
        import('../../src/policy/explain-report.ts'),
        import('../../src/request/paths.ts'),
      ]);
    const policies = await loadPolicies(config);
    const catalog = await this.#catalogIfAny(config);
    const { mount, liblustreapi, helper } = config;
    const fs = await openFileSystem({ mount, liblustreapi, helper });
    try {
      const now = Date.now();
      const context = { policies, files: fs.files, mount: fs.mount, catalog, removal: config.removal };
      const files = [];
      for (const named of rawArguments(argv.map(String))) {
        const explanation = await explain(named, { ...context, now });
        const { head, rows } = explanationText(explanation, now);
        if (files.length > 0) this.log();
        this.log(head);
        this.log(renderTable(['POLICY', 'RULE', 'DUE', 'WHY'], rows));
        files.push(explanationJson(explanation, now));
      }
      return { at: new Date(now).toISOString(), files };
    } finally {
      catalog?.close();
      await fs.close();
    }
  }

  async #catalogIfAny({ stateDir }: Config): Promise<Catalog | undefined> {
    const [{ openCatalog }, { catalogFile }] = await Promise.all([
      import('../../src/catalog/open.ts'),
      import('../../src/catalog/place.ts'),
    ]);
    const file = catalogFile(stateDir);
    return existsSync(file) ? openCatalog({ file, readOnly: true }) : undefined;
  }
}
