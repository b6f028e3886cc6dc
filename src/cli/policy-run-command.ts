import { Flags } from '@oclif/core';
import { parseBytes, parseDuration } from '../service/units.ts';

const size = Flags.custom<number>({ parse: async (text) => parseBytes(text), helpValue: 'SIZE' });
const duration = Flags.custom<number>({ parse: async (text) => parseDuration(text), helpValue: 'DURATION' });

export const policyRunFlags = {
  every: duration({ description: 'stay, and look at the triggers so often, such as 5m', helpValue: 'DURATION' }),
  'dry-run': Flags.boolean({
    char: 'n',
    description: 'make the same choice and touch nothing, not even the catalog; says what it would cost',
    exclusive: ['every', 'wait'],
  }),
  'check-triggers': Flags.boolean({
    description: 'say which policies would run now, and why; run none',
    exclusive: ['every', 'wait'],
  }),
  target: Flags.string({
    description:
      'only these files: path:, user:, group:, project:, ost:, pool:, class: and what, or all; triggers do not count then',
    helpValue: 'KIND:VALUE',
    exclusive: ['every'],
  }),
  'ignore-conditions': Flags.boolean({
    description: 'whatever the conditions of the rules say; what is ignored stays so',
    dependsOn: ['target'],
  }),
  'max-files': Flags.integer({ description: 'most files in this run', helpValue: 'N', min: 1 }),
  'max-bytes': size({ description: 'most bytes in this run, such as 1TiB' }),
  'max-duration': duration({ description: 'longest run, such as 30m' }),
  wait: Flags.boolean({ char: 'w', description: 'follow what was asked for to its end' }),
  'wait-lock': duration({ description: 'wait so long for another run of the same policy' }),
  verbose: Flags.boolean({ char: 'v', description: 'tell of policies without work, too, and name files that failed' }),
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
