import type { ExitName } from '../service/exit-code.ts';
import { OUTCOMES, type Outcome, type Problem, type Progress, type RequestFile, type Verb, type Why } from './types.ts';

/** Files with the same end for the same reason. */
export interface ReasonCount extends Why {
  readonly outcome: Outcome | 'path';
  readonly files: number;
}

/** How a run ended. */
export interface RequestSummary {
  readonly verb: Verb;
  readonly dryRun: boolean;
  readonly waited: boolean;
  /** Files that were chosen: each is counted once in `outcomes`. */
  readonly selected: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly bytes: Readonly<Record<Outcome, bigint>>;
  /** Paths that were given, as arguments and in a list. */
  readonly given: number;
  /** Paths that named nothing to ask for: missing, a directory, a symlink. */
  readonly badPaths: number;
  /** Files that a filter left out. */
  readonly filtered: number;
  readonly reasons: readonly ReasonCount[];
  /** The first problems, and how many more there were. */
  readonly problems: readonly Problem[];
  readonly problemsLeftOut: number;
  /** Nothing of what was asked for was seen to start while it was waited for. */
  readonly stalled: boolean;
  /** Why the run stopped early: its error. */
  readonly stoppedBy: Error | undefined;
  readonly exit: ExitName;
}

const PROBLEMS_KEPT = 1_000;

/** Counts a run. */
export class Tally {
  readonly #outcomes = zeros(0);
  readonly #bytes = zeros(0n);
  readonly #reasons = new Map<string, { why: Why; outcome: Outcome | 'path'; files: number }>();
  readonly #problems: Problem[] = [];
  #problemCount = 0;
  #given = 0;
  #badPaths = 0;
  #filtered = 0;
  #selected = 0;
  #selectedBytes = 0n;
  #asked = 0;
  #askedBytes = 0n;
  #moving = 0n;
  #selectionDone = false;

  selected(file: RequestFile): void {
    this.#selected += 1;
    this.#selectedBytes += file.size;
  }

  selectionDone(): void {
    this.#selectionDone = true;
  }

  given(): void {
    this.#given += 1;
  }

  filtered(): void {
    this.#filtered += 1;
  }

  asked(file: RequestFile): void {
    this.#asked += 1;
    this.#askedBytes += file.size;
  }

  moving(bytes: bigint): void {
    this.#moving = bytes;
  }

  /** A file's end. @returns the problem to be told, when it is one */
  ended(file: RequestFile, outcome: Outcome, why?: Why): Problem | undefined {
    this.#outcomes[outcome] += 1;
    this.#bytes[outcome] += file.size;
    if (why === undefined) return undefined;
    this.#count(outcome, why);
    if (outcome !== 'refused' && outcome !== 'failed') return undefined;
    return this.#keep({ path: file.path, fid: file.fid, ...why });
  }

  /** A path that came to nothing. */
  badPath(problem: Problem): Problem {
    this.#badPaths += 1;
    this.#count('path', { code: problem.code, text: problem.text });
    return this.#keep(problem);
  }

  progress(): Progress {
    const { done, failed, vanished, pending } = this.#outcomes;
    return {
      selected: this.#selected,
      selectionDone: this.#selectionDone,
      asked: this.#asked,
      askedBytes: this.#askedBytes,
      settled: done + failed + vanished + pending + this.#outcomes.asked,
      done,
      doneBytes: this.#bytes.done,
      movingBytes: this.#moving,
      failed,
    };
  }

  /** At the end of the run: a file without an end was on its way to being asked for when the run stopped. */
  summary(run: Pick<RequestSummary, 'verb' | 'dryRun' | 'waited' | 'stalled' | 'stoppedBy'>): RequestSummary {
    this.#outcomes.unasked += this.#selected - sum(Object.values(this.#outcomes));
    this.#bytes.unasked += this.#selectedBytes - Object.values(this.#bytes).reduce((a, b) => a + b, 0n);
    return {
      ...run,
      selected: this.#selected,
      outcomes: { ...this.#outcomes },
      bytes: { ...this.#bytes },
      given: this.#given,
      badPaths: this.#badPaths,
      filtered: this.#filtered,
      reasons: [...this.#reasons.values()]
        .map(({ why, outcome, files }) => ({ ...why, outcome, files }))
        .sort((a, b) => b.files - a.files),
      problems: this.#problems,
      problemsLeftOut: this.#problemCount - this.#problems.length,
      exit: this.#exit(run.stoppedBy),
    };
  }

  #exit(stoppedBy: Error | undefined): ExitName {
    if (stoppedBy !== undefined) return (stoppedBy as { exit?: ExitName }).exit ?? 'failed';
    const { done, asked, unneeded, would_ask, refused, failed, pending } = this.#outcomes;
    const good = done + asked + unneeded + would_ask + pending;
    if (refused + failed + this.#badPaths > 0) return good > 0 ? 'partial' : 'failed';
    return pending > 0 ? 'tryAgain' : 'ok';
  }

  #count(outcome: Outcome | 'path', why: Why): void {
    // What is wrong with a path is one of few texts, and a code may have several of them.
    const key = `${outcome} ${why.code} ${outcome === 'path' ? why.text : ''}`;
    const held = this.#reasons.get(key);
    if (held === undefined) this.#reasons.set(key, { why, outcome, files: 1 });
    else held.files += 1;
  }

  #keep(problem: Problem): Problem {
    this.#problemCount += 1;
    if (this.#problems.length < PROBLEMS_KEPT) this.#problems.push(problem);
    return problem;
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

function zeros<N extends number | bigint>(zero: N): Record<Outcome, N extends number ? number : bigint> {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, zero])) as never;
}
