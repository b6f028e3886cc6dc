import type { Tombstone } from '../../catalog/types.ts';
import type { ReconcileContext } from '../../follow/reconcile/context.ts';
import { removeDead } from '../../follow/reconcile/tombstones.ts';
import { Brake } from '../../follow/service/reaping.ts';
import { forEachBounded } from '../../service/bounded.ts';
import { OperatorError } from '../../service/errors.ts';
import { subjectOfDead } from '../dead.ts';
import type { Rule } from '../policies.ts';
import { restOf } from './backoff.ts';
import type { RunContext, RunRequest } from './context.ts';
import { FailureBook } from './failure-book.ts';
import { type JudgeOptions, ruledBy } from './judge.ts';
import { RunRoom } from './limits.ts';
import { removalOperations } from './operations.ts';
import { RateLimit } from './rate.ts';
import { Suspension } from './suspension.ts';
import { RunTally } from './tally.ts';
import { Tiering } from './tiering.ts';
import type { RunOutcome } from './types.ts';

const AT_ONCE = 16;

/** The dead that are due, by the rule. */
interface Due {
  readonly tombstone: Tombstone;
  readonly rule: Rule | undefined;
}

/**
 * One run of a policy that removes: what dead files left in the container. Whose blob is whose, and whether a file is
 * dead, is decided by the same code as the follower's (`removeDead`); a policy only says when.
 */
export class RemovalRun {
  readonly tally = new RunTally();
  readonly #context: RunContext;
  readonly #request: RunRequest;
  readonly #judging: JudgeOptions;
  readonly #room: RunRoom;
  readonly #rate: RateLimit;
  readonly #suspension: Suspension;
  readonly #failures: FailureBook;
  readonly #brake: Brake;
  readonly #tiering: Tiering;
  #limited = false;
  #braked = false;

  constructor(context: RunContext, request: RunRequest) {
    const { clock } = context;
    const { policy, target } = request;
    this.#context = context;
    this.#request = request;
    this.#judging = {
      policy,
      target: target?.expression,
      ignoreConditions: request.ignoreConditions ?? false,
      served: context.served,
      now: clock.now(),
    };
    const { config } = context;
    this.#tiering = new Tiering({ config, classes: request.classes ?? [], now: this.#judging.now });
    this.#room = new RunRoom(policy, request, clock);
    this.#rate = new RateLimit(policy.rate, clock);
    this.#suspension = new Suspension(policy.suspend);
    this.#failures = new FailureBook(context, policy);
    this.#brake = new Brake(context.catalog, () => context.config.removal, context.log);
  }

  async carryOut(): Promise<RunOutcome> {
    const { signal } = this.#request;
    const reaper = this.#context.effects.dry ? undefined : await this.#context.reaper();
    const work = async ({ tombstone, rule }: Due) => {
      if (this.#suspension.due) return;
      await this.#remove(reaper, tombstone, rule);
    };
    await forEachBounded(this.#due(), work, { concurrency: AT_ONCE, signal });
    if (this.#suspension.due) return 'suspended';
    if (this.#limited) return 'limit';
    return this.#braked ? 'held' : 'complete';
  }

  async *#due(): AsyncGenerator<Due, void, undefined> {
    const { catalog, effects, clock } = this.#context;
    const { kind } = this.#failures;
    for await (const page of catalog.tombstones(Math.floor(this.#judging.now / 1000))) {
      const failures = await catalog.failures(page.map(({ fid }) => fid));
      for (const tombstone of page) {
        if (this.#suspension.due) return;
        const failure = failures.get(tombstone.fid)?.find((one) => one.kind === kind);
        const rest = restOf(this.#request.policy.backoff, failure, clock.now());
        const due = this.#judge(tombstone);
        if (due === undefined) continue;
        if (rest !== 'none') this.tally.skip(rest === 'backoff' ? 'BACKOFF' : 'QUARANTINED');
        else if (due.rule === undefined || (await this.#admit(due.rule, tombstone, effects.dry))) yield due;
        if (this.#limited) return;
      }
    }
  }

  /** What is no file left markers only, which are nobody's data: no rule is needed for those. All is kept for the grace period. */
  #judge(tombstone: Tombstone): Due | undefined {
    const inGrace = tombstone.diedAt * 1000 + this.#context.config.removal.grace > this.#judging.now;
    if (tombstone.type !== 'file') return inGrace ? undefined : { tombstone, rule: undefined };
    this.tally.matched.add(tombstone.size);
    const ruled = ruledBy(subjectOfDead(tombstone), this.#judging);
    if ('rule' in ruled && !inGrace) return { tombstone, rule: ruled.rule };
    this.tally.skip('skip' in ruled ? ruled.skip : 'NOT_DUE');
    return undefined;
  }

  async #admit(rule: Rule, { size, diedAt }: Tombstone, dry: boolean): Promise<boolean> {
    const { signal } = this.#request;
    const bytes = Number(size);
    const passed = this.#room.check(rule, bytes);
    if (passed === 'rule' || passed === 'too-large') {
      this.tally.skip(passed === 'rule' ? 'RULE_LIMIT' : 'TOO_LARGE');
      return false;
    }
    if (passed === 'run') {
      this.#limited = true;
      return false;
    }
    if (!(await this.#brake.allows(diedAt))) {
      this.#braked = true;
      this.tally.skip('BRAKE');
      return false;
    }
    while (!dry && !this.#rate.tryTake(bytes)) await this.#rate.next(signal);
    this.#room.take(rule, bytes);
    return true;
  }

  async #remove(reaper: ReconcileContext | undefined, tombstone: Tombstone, rule: Rule | undefined): Promise<void> {
    const { fid, size } = tombstone;
    if (rule !== undefined) {
      this.tally.asked.add(size);
      this.tally.rule(rule.name).add(size);
      const tier = this.#tiering.of(() => subjectOfDead(tombstone), tombstone.archive);
      this.tally.costs.add(tier, { operations: removalOperations(this.#context.config.archives.size) });
    }
    if (reaper === undefined) return;
    try {
      const buried = await removeDead(reaper, tombstone, { copies: true });
      if (rule === undefined) return;
      if (buried) {
        this.tally.done.add(size);
        this.#suspension.count('good');
      } else if ((await this.#context.catalog.tombstone(fid)) === undefined) this.tally.skip('ALIVE');
      else await this.#failed(tombstone, { code: 'LEFT', text: 'something of it is left in the container' });
    } catch (error) {
      this.#request.signal.throwIfAborted();
      if (error instanceof OperatorError) throw error;
      await this.#failed(tombstone, { code: 'REMOVAL', text: error instanceof Error ? error.message : String(error) });
    }
    this.#tell();
  }

  async #failed({ fid, size, path }: Tombstone, why: { code: string; text: string }): Promise<void> {
    const { effects } = this.#context;
    this.tally.fail(size, why, { fid, path });
    this.#suspension.count('error');
    await effects.note({ failures: [await this.#failures.entry(fid, why)] });
  }

  #tell(): void {
    const { matched, asked, done, failed } = this.tally;
    this.#request.onProgress?.(() => ({
      policy: this.#request.policy.name,
      matched: matched.amount,
      asked: asked.amount,
      done: done.amount,
      failed: failed.amount,
      outstanding: { files: 0, bytes: 0 },
      waiting: undefined,
    }));
  }
}
