import type { Fid } from '../../identity/fid.ts';
import type { ExitName } from '../../service/exit-code.ts';
import type { PolicyAction } from '../policies.ts';
import type { Estimate } from './cost.ts';
import type { Operations } from './operations.ts';
import type { SkipReason } from './reasons.ts';

/** Files and their bytes. */
export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

/** Why a run began, or would not. */
export interface TriggerReport {
  readonly on: 'periodic' | 'ost_usage' | 'manual' | 'named' | 'target';
  readonly fires: boolean;
  /** For people. */
  readonly why: string;
  /** With `ost_usage`: the OSTs above the high mark, fullest first. */
  readonly osts?: readonly OstReport[];
}

export interface OstReport {
  readonly index: number;
  readonly name: string;
  /** In use, percent, two digits. */
  readonly percent: number;
  /** To be freed down to the low mark, bytes. */
  readonly excess: number;
}

/**
 * How a run ended.
 * - `complete`: everything that was to be done was asked for
 * - `limit`: a limit of the run was reached
 * - `short`: an OST is still above its low mark, and no further file may be released
 * - `held`: the brake on mass deletions holds removals
 * - `suspended`: too much failed
 * - `stalled`: nothing that was asked for moved any more
 * - `stopped`: by a signal, or an error that would have met every file
 * - `killed`: it never told its end
 * - `failed`: something unexpected ended it
 */
export type RunOutcome =
  | 'complete'
  | 'limit'
  | 'short'
  | 'held'
  | 'suspended'
  | 'stalled'
  | 'stopped'
  | 'killed'
  | 'failed';

export interface RunFigures {
  /** Candidates that were looked at: each is asked for or skipped. */
  readonly matched: Amount;
  /** Asked for; released, removed: at once done. */
  readonly asked: Amount;
  /** Came to a good end during this run, those that an earlier run had asked for included. */
  readonly done: Amount;
  /** Asked for and not at their end when the run ended. */
  readonly outstanding: Amount;
  readonly failed: Amount;
  /** Clean files that could not be released, marked dirty so that they are archived anew. */
  readonly markedDirty: Amount;
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
  /** By code. */
  readonly failures: Readonly<Record<string, { readonly files: number; readonly text: string }>>;
  /** Asked for, by rule. */
  readonly rules: Readonly<Record<string, Amount>>;
  /** Requests sent to the coordinator, or, of a dry run, that would be. */
  readonly requests: number;
  /** Requests to the storage service that this makes, as far as can be told: see docs/policy-run.md. */
  readonly operations: Operations;
}

export interface RunSummary extends RunFigures {
  readonly policy: string;
  readonly action: PolicyAction;
  readonly dryRun: boolean;
  readonly trigger: TriggerReport;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Milliseconds. */
  readonly elapsed: number;
  readonly outcome: RunOutcome;
  /** Of a dry run. */
  readonly estimate?: Estimate | undefined;
  readonly stoppedBy: Error | undefined;
  /** The first files that failed or were marked dirty. */
  readonly problems: readonly RunProblem[];
  readonly exit: ExitName;
}

/** Something an operator should know of one file. */
export interface RunProblem {
  readonly fid: Fid;
  /** Relative to the mount; undefined where it is not known. */
  readonly path?: Buffer | undefined;
  readonly code: string;
  readonly text: string;
}

/** What is told while a run is at work. */
export interface RunProgress extends Pick<RunFigures, 'matched' | 'asked' | 'done' | 'failed' | 'outstanding'> {
  readonly policy: string;
  readonly waiting: 'rate' | 'room' | 'end' | undefined;
}
