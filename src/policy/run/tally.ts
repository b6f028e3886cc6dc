import type { Why } from '../../request/types.ts';
import type { ExitName } from '../../service/exit-code.ts';
import { CostBook } from './cost.ts';
import type { SkipReason } from './reasons.ts';
import type { Amount, RunFigures, RunOutcome, RunProblem } from './types.ts';

const PROBLEMS_KEPT = 100;

class Sum {
  files = 0;
  bytes = 0n;

  add(bytes: bigint): void {
    this.files += 1;
    this.bytes += bytes;
  }

  take(bytes: bigint): void {
    this.files -= 1;
    this.bytes -= bytes;
  }

  get amount(): Amount {
    return { files: this.files, bytes: Number(this.bytes) };
  }
}

/** Counts one run. */
export class RunTally {
  readonly matched = new Sum();
  readonly asked = new Sum();
  readonly done = new Sum();
  readonly failed = new Sum();
  readonly markedDirty = new Sum();
  readonly problems: RunProblem[] = [];
  requests = 0;
  readonly costs = new CostBook();
  readonly #skipped = new Map<SkipReason, number>();
  readonly #failures = new Map<string, { files: number; text: string }>();
  readonly #rules = new Map<string, Sum>();

  skip(reason: SkipReason): void {
    this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + 1);
  }

  rule(name: string): Sum {
    const found = this.#rules.get(name);
    if (found !== undefined) return found;
    const sum = new Sum();
    this.#rules.set(name, sum);
    return sum;
  }

  fail(bytes: bigint, why: Why, problem: Omit<RunProblem, 'code' | 'text'>): void {
    this.failed.add(bytes);
    const held = this.#failures.get(why.code);
    if (held === undefined) this.#failures.set(why.code, { files: 1, text: why.text });
    else held.files += 1;
    this.problem({ ...problem, ...why });
  }

  problem(problem: RunProblem): void {
    if (this.problems.length < PROBLEMS_KEPT) this.problems.push(problem);
  }

  figures(outstanding: Amount): RunFigures {
    return {
      matched: this.matched.amount,
      asked: this.asked.amount,
      done: this.done.amount,
      outstanding,
      failed: this.failed.amount,
      markedDirty: this.markedDirty.amount,
      skipped: Object.fromEntries([...this.#skipped].sort((a, b) => b[1] - a[1])),
      failures: Object.fromEntries(this.#failures),
      rules: Object.fromEntries([...this.#rules].map(([name, sum]) => [name, sum.amount])),
      requests: this.requests,
      operations: this.costs.operations,
    };
  }

  exit(outcome: RunOutcome, stoppedBy: Error | undefined): ExitName {
    if (stoppedBy !== undefined) return (stoppedBy as { exit?: ExitName }).exit ?? 'failed';
    const good = this.done.files + this.asked.files - this.failed.files;
    if (outcome === 'suspended') return good > 0 ? 'partial' : 'failed';
    if (outcome === 'stalled') return 'tryAgain';
    if (this.failed.files > 0) return good > 0 ? 'partial' : 'failed';
    // What nobody serves is never done: that is for the operator to put right.
    const unserved = this.#skipped.has('UNSERVED');
    return unserved || outcome === 'short' || outcome === 'held' ? 'partial' : 'ok';
  }
}
