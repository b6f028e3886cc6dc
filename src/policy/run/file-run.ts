import type { Asked } from '../../catalog/types.ts';
import type { Needs } from '../../expression/walk.ts';
import { BatchSize } from '../../request/ask.ts';
import { statesOf } from '../../request/states.ts';
import { candidates } from './candidates.ts';
import { Consequences } from './consequences.ts';
import type { RunContext, RunRequest } from './context.ts';
import { FreeingGoal } from './goal.ts';
import { type Chosen, type JudgeOptions, judgeFile, subjectOf } from './judge.ts';
import { killedRuns } from './killed-runs.ts';
import { RunRoom } from './limits.ts';
import { type LookOptions, lookAtFiles } from './look.ts';
import { VERIFICATION } from './operations.ts';
import { Outstanding, StallError } from './outstanding.ts';
import { RateLimit } from './rate.ts';
import { conditionOf, needsFor, selectionOf } from './scope.ts';
import { askedRow, Sender } from './sender.ts';
import { Suspension } from './suspension.ts';
import { RunTally } from './tally.ts';
import { Tiering } from './tiering.ts';
import type { Amount, RunOutcome, RunProgress } from './types.ts';
import { Verification } from './verification.ts';

/** A look that is older than this, milliseconds, is repeated before the file is asked for. */
const STALE_MS = 5_000;

/** 'Unlimited' is so many: what is asked for and not done is kept in memory. */
const MOST_OUTSTANDING = 100_000;

/** Ends a run for a reason that is no error. */
class RunEnd extends Error {
  readonly outcome: RunOutcome;

  constructor(outcome: RunOutcome) {
    super(outcome);
    this.outcome = outcome;
  }
}

/** One run of a policy that archives or releases: candidates, limits, requests, and what becomes of them. */
export class FileRun {
  readonly tally = new RunTally();
  readonly #context: RunContext;
  readonly #request: RunRequest;
  readonly #run: number;
  readonly #action: 'archive' | 'release';
  readonly #judging: JudgeOptions;
  readonly #needs: Needs;
  readonly #look: LookOptions;
  readonly #room: RunRoom;
  readonly #rate: RateLimit;
  readonly #outstanding: Outstanding;
  readonly #suspension: Suspension;
  readonly #goal: FreeingGoal | undefined;
  readonly #sender: Sender;
  readonly #verification: Verification;
  readonly #consequences: Consequences;
  #waiting: RunProgress['waiting'];

  /** @param run the run's number in the catalog */
  constructor(context: RunContext, request: RunRequest, action: 'archive' | 'release', run: number) {
    const { clock, config, effects, files } = context;
    const { policy, target } = request;
    this.#context = context;
    this.#request = request;
    this.#run = run;
    this.#action = action;
    this.#judging = {
      policy,
      target: target?.expression,
      ignoreConditions: request.ignoreConditions ?? false,
      served: context.served,
      now: clock.now(),
    };
    // Only an estimate is worth looking for what decides on a tier.
    const classes = effects.dry ? (request.classes ?? []) : [];
    const tiering = new Tiering({ config, classes, now: this.#judging.now });
    const tierOf = ({ file, archive }: Chosen) => tiering.of(() => subjectOf(file), archive);
    this.#needs = needsFor(policy, target, tiering.needs);
    const { source, catalog } = context;
    const { settle } = config.follow;
    const note = effects.dry ? undefined : effects.note;
    this.#look = { files, source, catalog, note, now: () => clock.now(), settle };
    this.#room = new RunRoom(policy, request, clock);
    this.#rate = new RateLimit(policy.rate, clock);
    this.#suspension = new Suspension(policy.suspend);
    this.#outstanding = new Outstanding({
      limit: policy.maxOutstanding ?? MOST_OUTSTANDING,
      look: (fids) => statesOf(files, fids),
      onEnded: (ended) => this.#consequences.ended(ended),
      onWaiting: () => this.#tell(),
      pollInterval: config.request.pollInterval,
      stallAfter: config.policyRun.stallTimeout,
      clock,
    });
    const osts = request.trigger.on === 'ost_usage' ? request.trigger.osts : undefined;
    this.#goal = osts === undefined ? undefined : new FreeingGoal(osts);
    this.#consequences = new Consequences({
      ...{ context, request, action, look: this.#look, tally: this.tally, suspension: this.#suspension, tierOf },
      ...{ room: this.#room, goal: this.#goal, outstanding: () => this.#outstanding },
    });
    this.#verification = new Verification({
      catalog,
      verifier: context.verifier,
      within: config.policyRun.verifiedWithin,
      now: () => clock.now(),
      onRequest: (chosen) => this.tally.costs.add(tierOf(chosen), { operations: VERIFICATION }),
      signal: request.signal,
    });
    this.#sender = new Sender({
      action,
      mount: context.mount,
      lfs: config.lfs,
      send: effects.send,
      states: (fids) => statesOf(files, fids),
      recheck: (batch) => this.#recheck(batch),
      intend: (batch) => this.#intend(batch),
      onSent: async (results) => {
        await this.#consequences.sent(results);
        this.#tell();
      },
      onRequest: () => {
        this.tally.requests += 1;
      },
      size: new BatchSize(this.#batchLimit()),
      parallel: config.request.parallel,
      stopped: () => request.signal.aborted,
    });
  }

  get outstanding(): Amount {
    return this.#outstanding.amount;
  }

  /** @throws what ends the run early, after everything that was begun has come to its end */
  async carryOut(): Promise<RunOutcome> {
    try {
      if (this.#action === 'archive') await this.#takeOver();
      this.#checkSuspension();
      const outcome = await this.#askForAll().catch((error: unknown) => {
        if (error instanceof RunEnd && error.outcome === 'limit') return error.outcome;
        throw error;
      });
      await this.#sender.flush();
      this.#checkSuspension();
      const wait = this.#request.wait === true && !this.#context.effects.dry && this.#room.timeLeft > 0;
      if (wait) await this.#waitFor('end');
      this.#checkSuspension();
      return outcome;
    } catch (error) {
      await this.#sender.abandon();
      if (error instanceof RunEnd) return error.outcome;
      if (error instanceof StallError) return 'stalled';
      throw error;
    }
  }

  async #askForAll(): Promise<RunOutcome> {
    const { trigger, target } = this.#request;
    if (this.#goal === undefined) {
      await this.#askFor(target?.ost);
      return 'complete';
    }
    let short = false;
    for (const { index } of trigger.osts ?? []) {
      await this.#askFor(index);
      if (!this.#goal.reached(index)) short = true;
    }
    return short ? 'short' : 'complete';
  }

  async #askFor(ost: number | undefined): Promise<void> {
    const { policy, target, ignoreConditions, signal } = this.#request;
    const where = conditionOf(policy, target, ignoreConditions ?? false);
    const pages = candidates({
      ...this.#judging,
      catalog: this.#context.catalog,
      look: this.#look,
      needs: this.#needs,
      selection: selectionOf(policy, where, this.#judging.now, ost),
      onMatched: (bytes) => this.tally.matched.add(bytes),
      onSkip: (reason) => this.tally.skip(reason),
      isTaken: (fid) => this.#consequences.isRecent(fid),
      signal,
    });
    if (ost !== undefined && this.#goal?.reached(ost) === true) return;
    for await (const page of pages) {
      for await (const chosen of this.#verified(page)) {
        if (await this.#isReached(ost)) return;
        await this.#take(chosen);
      }
      this.#tell();
    }
    await this.#sender.flush();
    // What was refused at the end is made up for by the next run: the candidates are at their end here.
  }

  /** Releases are verified in small portions, so that no more copies are asked for than are needed. */
  async *#verified(page: readonly Chosen[]): AsyncGenerator<Chosen, void, undefined> {
    if (this.#action === 'archive') {
      yield* page;
      return;
    }
    const portion = this.#batchLimit();
    for (let at = 0; at < page.length; at += portion) {
      const some = page.slice(at, at + portion);
      const verdicts = await this.#verification.of(some);
      for (const chosen of some) {
        const verdict = verdicts.get(chosen);
        if (verdict === undefined || verdict.ok) yield chosen;
        else if (verdict.searched) await this.#consequences.noCopy(chosen, verdict.reason);
        else this.tally.skip('COPY_UNVERIFIED');
      }
    }
  }

  async #isReached(ost: number | undefined): Promise<boolean> {
    if (ost === undefined || this.#goal === undefined || !this.#goal.reached(ost)) return false;
    // Some of what counts as freed may be refused yet.
    await this.#sender.flush();
    return this.#goal.reached(ost);
  }

  async #take(chosen: Chosen): Promise<void> {
    const { signal } = this.#request;
    const { dry } = this.#context.effects;
    const { entry } = chosen.file.fresh;
    const bytes = Number(entry.size);
    signal.throwIfAborted();
    this.#checkSuspension();
    if (this.#outstanding.has(chosen.file.fid)) return this.tally.skip('UNDER_WAY');
    const passed = this.#room.check(chosen.rule, bytes);
    if (passed === 'rule') return this.tally.skip('RULE_LIMIT');
    if (passed === 'too-large') return this.tally.skip('TOO_LARGE');
    if (passed === 'run') throw await this.#end('limit');
    if (!dry) {
      while (!this.#rate.tryTake(bytes)) await this.#waitFor('rate');
      if (this.#action === 'archive' && this.#outstanding.isFull) await this.#waitFor('room');
    }
    this.#room.take(chosen.rule, bytes);
    this.#goal?.add(entry);
    if (this.#action === 'archive' && !dry) this.#outstanding.add(this.#rowOf(chosen));
    await this.#sender.add(chosen);
  }

  async #waitFor(what: 'rate' | 'room' | 'end'): Promise<void> {
    const { signal } = this.#request;
    await this.#sender.flush();
    this.#waiting = what;
    this.#tell();
    const { timeLeft } = this.#room;
    const over = timeLeft < 2 ** 31 ? AbortSignal.timeout(Math.max(0, timeLeft)) : undefined;
    const either = over === undefined ? signal : AbortSignal.any([signal, over]);
    try {
      if (what === 'rate') await this.#rate.next(either);
      else if (what === 'room') await this.#outstanding.room(either);
      else await this.#outstanding.finish(either);
    } catch (error) {
      signal.throwIfAborted();
      if (over?.aborted === true) throw await this.#end('limit');
      throw error;
    } finally {
      this.#waiting = undefined;
    }
    if (this.#room.timeLeft <= 0) throw await this.#end('limit');
    this.#checkSuspension();
  }

  /** What is gathered is still sent. */
  async #end(outcome: RunOutcome): Promise<RunEnd> {
    await this.#sender.flush();
    return new RunEnd(outcome);
  }

  #checkSuspension(): void {
    if (this.#suspension.due) throw new RunEnd('suspended');
  }

  #batchLimit(): number {
    const { policy } = this.#request;
    const { batch } = this.#context.config.request;
    return Math.max(1, Math.min(batch, policy.rate.files ?? batch, policy.maxOutstanding ?? batch));
  }

  /** What earlier runs have asked for is looked at first: it counts, and how it ended is news. */
  async #takeOver(): Promise<void> {
    const { catalog, effects } = this.#context;
    const killed = await killedRuns(catalog, this.#request.policy.name);
    for await (const rows of catalog.asked(this.#request.policy.name)) {
      if (effects.dry) for (const row of rows) this.#outstanding.add(row);
      else await this.#outstanding.takeOver(rows, killed);
    }
  }

  async #recheck(batch: readonly Chosen[]): Promise<readonly Chosen[]> {
    const now = this.#context.clock.now();
    const stale = batch.filter(({ file }) => now - file.at > STALE_MS);
    if (stale.length === 0 || this.#context.effects.dry) return batch;
    const looked = await lookAtFiles(
      this.#look,
      stale.map(({ file }) => file.fid),
      this.#needs,
    );
    const again: Chosen[] = [];
    for (const chosen of batch) {
      if (!stale.includes(chosen)) {
        again.push(chosen);
        continue;
      }
      const judgement = judgeFile(looked.get(chosen.file.fid), this.#judging);
      if ('chosen' in judgement) again.push(judgement.chosen);
      else {
        this.#consequences.undo(chosen);
        this.tally.skip(judgement.skip);
      }
    }
    return again;
  }

  #rowOf(chosen: Chosen): Asked {
    return askedRow(chosen, this.#request.policy.name, this.#run, this.#context.clock.now());
  }

  async #intend(batch: readonly Chosen[]): Promise<void> {
    if (this.#action !== 'archive') return;
    await this.#context.effects.note({ asked: batch.map((chosen) => this.#rowOf(chosen)) });
    await this.#context.step('policy.intended');
  }

  #tell(): void {
    const { matched, asked, done, failed } = this.tally;
    this.#request.onProgress?.(() => ({
      policy: this.#request.policy.name,
      matched: matched.amount,
      asked: asked.amount,
      done: done.amount,
      failed: failed.amount,
      outstanding: this.#outstanding.amount,
      waiting: this.#waiting,
    }));
  }
}
