import { BaseCommand } from '../../src/cli/base-command.ts';
import { renderTable } from '../../src/cli/table.ts';
import type { policiesJson } from '../../src/policy/list-report.ts';

export default class PolicyListCommand extends BaseCommand {
  static override summary = 'Show classes, policies and their rules as they are in force';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];

  async run(): Promise<ReturnType<typeof policiesJson>> {
    const { flags } = await this.parse(PolicyListCommand);
    const [{ config }, { loadPolicies }, { ignoreLines, policiesJson, policyRows }] = await Promise.all([
      this.readConfig({ config: flags.config }),
      import('../../src/policy/policies.ts'),
      import('../../src/policy/list-report.ts'),
    ]);
    const policies = await loadPolicies(config);
    const json = policiesJson(policies);
    this.log(
      renderTable(
        ['CLASS', 'DEFINITION', 'TIER'],
        json.classes.map((one) => [one.name, one.definition, one.access_tier ?? '']),
      ),
    );
    this.log();
    this.log(renderTable(['POLICY', 'RUN', 'RULE', 'CLASSES', 'CONDITION', 'LIMITS'], policyRows(policies)));
    for (const line of ignoreLines(policies)) this.log(line);
    return json;
  }
}
