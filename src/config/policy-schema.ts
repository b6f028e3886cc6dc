import * as z from 'zod';
import { ExpressionError } from '../expression/error.ts';
import { parseExpression } from '../expression/parser.ts';
import { count, countOrUnlimited, duration, durationOrUnlimited, percent, sizeOrUnlimited } from './measures.ts';
import { withDefaultClasses, withDefaultPolicies } from './policy-defaults.ts';

/** `classes` and `policies`: what docs/policies.md describes. */

/** A condition; an issue has the offset of the mistake among its parameters. */
const expression = () =>
  z.string().superRefine((text, context) => {
    try {
      parseExpression(text);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      // What does not parse is not looked at any further.
      context.addIssue({ code: 'custom', message: error.message, params: { offset: error.offset }, continue: false });
    }
  });

const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const name = () =>
  z.string().regex(NAME, 'must be a name: a letter, then letters, digits, dots, underscores and hyphens');

export const classesSchema = z
  .preprocess(
    withDefaultClasses,
    z.record(
      name(),
      z.strictObject({
        definition: expression().meta({ description: 'condition that the files of the class meet' }),
        access_tier: z.enum(['Hot', 'Cool', 'Cold']).optional().meta({
          description:
            'access tier of the copies of its files; unset: that of the archive. If a file is in several classes, the first one with a tier counts',
        }),
      }),
    ),
  )
  .prefault({})
  .meta({ description: 'classes of files' });

const rule = z.strictObject({
  target_class: z
    .array(name())
    .meta({ description: 'classes that the rule is for; unset: all files that no earlier rule is for' }),
  condition: expression().optional().meta({ description: 'condition under which it is done; unset: always' }),
  archive_id: count(1, 65_535).optional().meta({ description: "archive id; unset: the policy's" }),
  max_files: countOrUnlimited(1, 1e12).meta({ description: 'most files that a run takes by this rule' }),
  max_bytes: sizeOrUnlimited('1', '4P').meta({ description: 'most bytes that a run takes by this rule' }),
});

const trigger = z
  .strictObject({
    on: z.enum(['periodic', 'ost_usage', 'manual']).meta({ description: 'what starts a run' }),
    interval: duration('1s', '1y').prefault('5m').meta({ description: 'how often the trigger is checked' }),
    high: percent().optional().meta({ description: 'usage of an OST from which files are released' }),
    low: percent().optional().meta({ description: 'usage of the OST at which releasing stops' }),
  })
  .refine(({ on, high, low }) => on !== 'ost_usage' || (high !== undefined && low !== undefined), {
    error: 'needs high and low',
  })
  .refine(({ on, high, low }) => on === 'ost_usage' || (high === undefined && low === undefined), {
    error: 'has high and low only with ost_usage',
  })
  .refine(({ high, low }) => high === undefined || low === undefined || low <= high, {
    path: ['low'],
    error: 'must not be above high',
  });

const policy = z.strictObject({
  action: z.enum(['archive', 'release', 'remove']).meta({
    description: 'what the policy does; the policies `archive`, `release` and `remove` do what their names say',
  }),
  enabled: z.boolean().meta({ description: 'whether its triggers run it' }),
  ignore: z.array(expression()).meta({ description: 'conditions on files that are left alone' }),
  ignore_class: z.array(name()).meta({ description: 'classes whose files are left alone' }),
  rules: z.record(name(), rule).meta({ description: 'rules, in order: the first whose class a file is in counts' }),
  triggers: z.array(trigger).meta({ description: 'when it is run' }),
  archive_id: count(1, 65_535).meta({ description: 'archive id that files are archived to' }),
  sort: z
    .enum(['last_mod', 'last_access', 'last_change', 'rm_time', 'size', 'none'])
    .meta({ description: 'order in which files are taken' }),
  order: z.enum(['ascending', 'descending']).meta({
    description: 'ascending: smallest, or longest ago, first',
  }),
  rate_limit: z.strictObject({
    files: countOrUnlimited(1, 1e9).meta({ description: 'most files asked for in a period' }),
    bytes: sizeOrUnlimited('1', '4P').meta({ description: 'most bytes asked for in a period' }),
    period: duration('10ms', '1d').meta({ description: 'length of the period' }),
  }),
  max_outstanding: countOrUnlimited(1, 1e9).meta({
    description: 'most files that are asked for but not finished; more would make restores and cancels wait',
  }),
  max_files: countOrUnlimited(1, 1e12).meta({ description: 'most files in a run' }),
  max_bytes: sizeOrUnlimited('1', '4P').meta({ description: 'most bytes in a run' }),
  max_duration: durationOrUnlimited('1s', '1y').meta({ description: 'longest run' }),
  suspend: z.strictObject({
    errors: count(1, 1e9).meta({ description: 'number of errors from which a run may be suspended' }),
    share: percent().meta({ description: 'share of failed files at which it then is' }),
  }),
  backoff: z.strictObject({
    first: duration('1s', '1y').meta({
      description: 'how long a failed file is left alone; doubles with each failure',
    }),
    longest: duration('1s', '1y').meta({ description: 'the longest that a failed file is left alone' }),
    quarantine_after: count(1, 1e6).meta({
      description: 'failures after which a file is left alone until `policy retry`',
    }),
  }),
});

export const policiesSchema = z
  .preprocess(withDefaultPolicies, z.record(name(), policy))
  .prefault({})
  .meta({ description: 'what is done with files without anyone looking' });

export type RawClasses = z.output<typeof classesSchema>;
export type RawPolicies = z.output<typeof policiesSchema>;
export type RawPolicy = RawPolicies[string];
