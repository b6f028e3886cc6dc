import type { Fid } from '../identity/fid.ts';
import type { CurrentAction, HsmState } from '../lustre/hsm-state.ts';
import type { RequestAction } from '../lustre/lfs.ts';

export type Verb = RequestAction;

/** A regular file, as it was when it was looked at. */
export interface RequestFile {
  readonly fid: Fid;
  /** As the operator named it; absolute, when it was found in a directory. */
  readonly path: Buffer;
  /** Bytes. */
  readonly size: bigint;
  readonly hsm: HsmState;
  readonly action: CurrentAction;
}

/**
 * How a file ended; each file that was chosen ends exactly once.
 *
 * - `done`: it is in the state that was asked for
 * - `asked`: the coordinator has it; nobody waited
 * - `pending`: the coordinator has it still, the wait is over
 * - `unneeded`: it was in that state before
 * - `refused`: its state does not allow it; not asked for
 * - `vanished`: it was removed meanwhile
 * - `failed`: asked for, and refused or not done
 * - `unasked`: the run stopped before it
 * - `would_ask`: a dry run
 */
export type Outcome =
  | 'done'
  | 'asked'
  | 'pending'
  | 'unneeded'
  | 'refused'
  | 'vanished'
  | 'failed'
  | 'unasked'
  | 'would_ask';

export const OUTCOMES = [
  'done',
  'asked',
  'pending',
  'unneeded',
  'refused',
  'vanished',
  'failed',
  'unasked',
  'would_ask',
] as const satisfies readonly Outcome[];

/** Why: a stable code for scripts, and a text that completes 'the file …'. */
export interface Why {
  readonly code: string;
  readonly text: string;
}

/** Something an operator should know of one path. */
export interface Problem extends Why {
  /** As the operator named it; absolute, when it was found in a directory. */
  readonly path: Buffer;
  readonly fid?: Fid;
}

/** How far the run is; the same shape at every event. */
export interface Progress {
  /** Files chosen so far, and whether the selection has come to its end. */
  readonly selected: number;
  readonly selectionDone: boolean;
  /** Files the coordinator has been asked for, and their bytes. */
  readonly asked: number;
  readonly askedBytes: bigint;
  /** Of these, at their end (`done` or not). */
  readonly settled: number;
  readonly done: number;
  readonly doneBytes: bigint;
  /** Bytes moved of files still under way, as the copytools report them. */
  readonly movingBytes: bigint;
  readonly failed: number;
}

export type RequestEvent =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'problem'; readonly problem: Problem }
  /** Once in a run: nothing of what was asked for has started for so many milliseconds. */
  | { readonly type: 'stalled'; readonly since: number }
  /** Of a dry run: a file that a real one would ask for. */
  | { readonly type: 'would_ask'; readonly file: RequestFile };

export type CopyVerdict =
  | { readonly ok: true }
  /** `searched`: every place was looked at, and the copy is in none; otherwise that could not be done. */
  | { readonly ok: false; readonly reason: string; readonly searched: boolean };

/** Whether the copy in the archive is there and is this file's: asked before a release. */
export interface CopyVerifier {
  /** Rejects when it can't be found out (no network, no permission): the run stops then. */
  verify(file: Pick<RequestFile, 'fid' | 'hsm'>): Promise<CopyVerdict>;
}
