import { Flags } from '@oclif/core';
import { parseBytes, parseDuration } from '../service/units.ts';

const size = Flags.custom<number>({ parse: async (text) => parseBytes(text), helpValue: 'SIZE' });
const duration = Flags.custom<number>({ parse: async (text) => parseDuration(text), helpValue: 'DURATION' });

export const policyRunFlags = {
  every: duration({
    description: 'keep running, and check the triggers this often, such as 5m',
    helpValue: 'DURATION',
  }),
  'dry-run': Flags.boolean({
    char: 'n',
    description: 'choose files in the same way, but touch nothing, not even the catalog; shows what it would cost',
    exclusive: ['every', 'wait'],
  }),
  'check-triggers': Flags.boolean({
    description: 'show which policies would run now, and why; run none',
    exclusive: ['every', 'wait'],
  }),
  target: Flags.string({
    description:
      'only these files: path:DIR, user:NAME, group:NAME, project:ID, ost:INDEX, pool:NAME, class:NAME, or all; triggers then do not count',
    helpValue: 'KIND:VALUE',
    exclusive: ['every'],
  }),
  'ignore-conditions': Flags.boolean({
    description: 'take files whatever the conditions of the rules say; ignored files stay ignored',
    dependsOn: ['target'],
  }),
  'max-files': Flags.integer({ description: 'most files in this run', helpValue: 'N', min: 1 }),
  'max-bytes': size({ description: 'most bytes in this run, such as 1TiB' }),
  'max-duration': duration({ description: 'longest run, such as 30m' }),
  wait: Flags.boolean({ char: 'w', description: 'wait until everything asked for is done' }),
  'wait-lock': duration({ description: 'how long to wait for another run of the same policy' }),
  verbose: Flags.boolean({ char: 'v', description: 'also report policies without work, and name files that failed' }),
};

/** What the flags are parsed into. */
export interface ParsedPolicyRun {
  readonly every?: number | undefined;
  readonly 'dry-run'?: boolean;
  readonly 'check-triggers'?: boolean;
  readonly target?: string | undefined;
  readonly 'ignore-conditions'?: boolean;
  readonly 'max-files'?: number | undefined;
  readonly 'max-bytes'?: number | undefined;
  readonly 'max-duration'?: number | undefined;
  readonly wait?: boolean;
  readonly 'wait-lock'?: number | undefined;
  readonly verbose?: boolean;
  readonly config?: string | undefined;
  readonly 'log-level'?: string | undefined;
}
