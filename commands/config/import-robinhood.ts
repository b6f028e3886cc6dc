import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { renderTable } from '../../src/cli/table.ts';
import type { Finding } from '../../src/policy/robinhood/report.ts';

export default class ConfigImportRobinhood extends BaseCommand {
  static override summary = 'Convert a Robinhood configuration';
  static override description =
    'Writes the configuration to standard output, or to a new file, and reports what has no equivalent and why. A ' +
    'policy that depends on something that can’t be converted is written with `enabled: false`.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /etc/robinhood.d/lustre.conf --output /etc/lfsazsync/config.yaml',
    '<%= config.bin %> <%= command.id %> --all /etc/robinhood.d/lustre.conf > config.yaml',
  ];
  static override args = { file: Args.string({ description: 'configuration of Robinhood 3', required: true }) };
  static override flags = {
    output: Flags.string({ char: 'o', description: 'file to write', helpValue: 'FILE' }),
    all: Flags.boolean({ description: 'also report what was converted, and what is not needed' }),
  };

  async run(): Promise<{ output: string | null; yaml: string; findings: readonly Finding[] }> {
    const { args, flags } = await this.parse(ConfigImportRobinhood);
    const [{ readRobinhood }, { convertRobinhood }, { convertedText, placeOf, writeNew }] = await Promise.all([
      import('../../src/policy/robinhood/read.ts'),
      import('../../src/policy/robinhood/convert.ts'),
      import('../../src/policy/robinhood/write.ts'),
    ]);
    const conversion = convertRobinhood(await readRobinhood(args.file, process.env));
    const yaml = convertedText(conversion, args.file);
    if (flags.output === undefined) this.log(yaml.trimEnd());
    else await writeNew(flags.output, yaml);
    this.#tell(conversion.findings, flags.all === true, (finding) => placeOf(finding, args.file));
    return { output: flags.output ?? null, yaml, findings: conversion.findings };
  }

  /** On standard error: the configuration may be what goes to standard output. */
  #tell(findings: readonly Finding[], all: boolean, placeOf: (finding: Finding) => string): void {
    if (this.jsonEnabled()) return;
    const told = findings.filter(({ outcome }) => all || outcome === 'missing' || outcome === 'different');
    const rows = told.map((finding) => [placeOf(finding), finding.outcome, finding.what, finding.why]);
    if (rows.length > 0) this.logToStderr(renderTable(['WHERE', 'OUTCOME', 'WHAT', 'WHY'], rows));
    const count = (wanted: Finding['outcome']) => findings.filter(({ outcome }) => outcome === wanted).length;
    this.logToStderr(
      `${count('converted')} converted, ${count('unneeded')} not needed here, ${count('different')} done in another way, ${count('missing')} not done`,
    );
  }
}
