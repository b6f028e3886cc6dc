import { REASONS, type Reason } from '../../lustre/hsm-state.ts';

/** Why a candidate was not asked for. The codes are stable: they are part of `--json`. Each text completes '12 files: …'. */
export const SKIP_REASONS = {
  ...REASONS,
  NOT_DUE: 'changed or used meanwhile: its rule does not say so any more',
  IGNORED: 'ignored by the policy',
  NO_RULE: 'no rule is for it any more',
  UNKNOWN: 'something that a condition depends on could not be read',
  OUT_OF_TARGET: 'not in the target any more',
  NOT_A_FILE: 'not a regular file',
  UNDER_WAY: 'asked for already: it is waiting or running',
  BUSY: 'another action is under way for it',
  IN_USE: 'open for writing by somebody: it is tried again by the next run',
  NO_NAME: 'unlinked, and still held open by somebody',
  VANISHED: 'removed meanwhile',
  UNREADABLE: "can't be looked at now",
  UNSERVED: 'its archive id is not in the configuration, so nobody would serve it',
  BACKOFF: 'failed lately: left alone for a while',
  QUARANTINED: 'failed too often: left alone until `lfsazsync policy retry`',
  RULE_LIMIT: 'more than its rule allows in a run',
  TOO_LARGE: 'larger than all that the run may do',
  COPY_UNVERIFIED: 'its copy could not be verified',
  BRAKE: 'held by the brake on mass deletions',
  ALIVE: 'it lives after all',
} as const satisfies Record<string, string> & Record<Reason, string>;

export type SkipReason = keyof typeof SKIP_REASONS;
