import type { CatalogBatch, FailurePut } from '../../catalog/types.ts';
import type { Needs } from '../../expression/walk.ts';
import type { Fid } from '../../identity/fid.ts';
import type { Why } from '../../request/types.ts';
import type { RunContext, RunRequest } from './context.ts';
import { FailureBook } from './failure-book.ts';
import type { FreeingGoal } from './goal.ts';
import type { Chosen } from './judge.ts';
import type { RunRoom } from './limits.ts';
import { type LookOptions, lookAtFiles } from './look.ts';
import { archiveOperations, recallOperations } from './operations.ts';
import type { Ended, Outstanding } from './outstanding.ts';
import { markDirty, type Sent } from './sender.ts';
import type { Suspension } from './suspension.ts';
import type { RunTally } from './tally.ts';

/** Files released just now that may still be among the candidates that were read ahead. */
const RECENT = 20_000;
const NOTHING_MORE: Needs = { paths: false, creation: false, xattrs: [] };

export interface ConsequencesOptions {
  readonly context: RunContext;
  readonly request: RunRequest;
  readonly action: 'archive' | 'release';
  readonly look: LookOptions;
  readonly tally: RunTally;
  readonly suspension: Suspension;
  readonly room: RunRoom;
  readonly goal: FreeingGoal | undefined;
  readonly outstanding: () => Outstanding;
  /** The access tier of a file's copy. */
  readonly tierOf: (chosen: Chosen) => string;
}

/** What follows from what became of files: counts, failures, and what the catalog is told. */
export class Consequences {
  readonly #options: ConsequencesOptions;
  readonly #failures: FailureBook;
  readonly #recent = new Set<Fid>();

  constructor(options: ConsequencesOptions) {
    this.#options = options;
    this.#failures = new FailureBook(options.context, options.request.policy);
  }

  /** Whether it was released just now. */
  isRecent(fid: Fid): boolean {
    return this.#recent.has(fid);
  }

  /** It counts neither against limits nor as freed. */
  undo(chosen: Chosen): void {
    const { room, goal, outstanding } = this.#options;
    const { entry } = chosen.file.fresh;
    room.giveBack(chosen.rule, Number(entry.size));
    goal?.takeBack(entry);
    outstanding().drop(entry.fid);
  }

  /** Of a request: what was asked for, and what was not. */
  async sent(results: readonly (readonly [Chosen, Sent])[]): Promise<void> {
    const { tally, action, request, look, context } = this.#options;
    if (results.some(([, { is }]) => is === 'asked')) await context.step('policy.asked');
    const failures: FailurePut[] = [];
    const notAsked: Fid[] = [];
    const good: Fid[] = [];
    for (const [chosen, sent] of results) {
      const { fid, fresh } = chosen.file;
      if (sent.is === 'asked') {
        this.#asked(chosen);
        good.push(fid);
        continue;
      }
      this.undo(chosen);
      notAsked.push(fid);
      if (sent.is === 'vanished') tally.skip('VANISHED');
      else if (sent.is === 'in-use') tally.skip('IN_USE');
      else if (sent.is === 'refused') tally.skip(sent.why.code as 'BUSY');
      else if (sent.is === 'stuck') await this.#stuck(chosen);
      else if (sent.is === 'failed') failures.push(await this.#failed(fid, fresh.entry.size, sent.why));
    }
    const { kind } = this.#failures;
    const policy = request.policy.name;
    const batch: CatalogBatch =
      action === 'archive'
        ? { failures, askedGone: notAsked.map((fid) => ({ policy, fid })) }
        : { failures, failuresOver: good.map((fid) => ({ fid, kind })) };
    await context.effects.note(batch);
    // Released by now: the catalog is told, whether a follower is at work or not.
    if (action === 'release' && good.length > 0 && !context.effects.dry) await lookAtFiles(look, good, NOTHING_MORE);
  }

  /** Of archives that came to their end, asked for by this run or an earlier one. */
  async ended(ended: readonly Ended[]): Promise<void> {
    const { tally, suspension, request, look, context } = this.#options;
    await context.step('policy.ended');
    const fids = ended.map(({ asked }) => asked.fid);
    const looked = await lookAtFiles(look, fids, NOTHING_MORE);
    const failures: FailurePut[] = [];
    const over: Fid[] = [];
    for (const { asked, as, why } of ended) {
      const now = looked.get(asked.fid);
      const changed = typeof now === 'object' && now.fresh.entry.mtime !== asked.mtime;
      if (as === 'done') {
        tally.done.add(asked.size);
        suspension.count('good');
        over.push(asked.fid);
      } else if (as === 'failed' && why !== undefined && now !== 'dead' && !changed) {
        failures.push(await this.#failed(asked.fid, asked.size, why));
      } else if (as !== 'unknown') tally.skip(changed ? 'NOT_DUE' : 'VANISHED');
    }
    const { kind } = this.#failures;
    await context.effects.note({
      failures,
      failuresOver: over.map((fid) => ({ fid, kind })),
      askedGone: fids.map((fid) => ({ policy: request.policy.name, fid })),
    });
  }

  /** Its copy is nowhere in the container. */
  noCopy(chosen: Chosen, reason: string): Promise<void> {
    return this.#archiveAnew(chosen, {
      code: 'COPY_MISSING',
      text: `its copy is not in the container (${reason}): marked dirty, so that it is archived anew`,
    });
  }

  #stuck(chosen: Chosen): Promise<void> {
    return this.#archiveAnew(chosen, {
      code: 'OTHER_DATA',
      text: 'its data is not what was archived, although it counts as clean: marked dirty, so that it is archived anew',
    });
  }

  /** What is clean and can't be released is archived once more; that counts as a failure, so that it is not done for ever. */
  async #archiveAnew({ file }: Chosen, why: Why): Promise<void> {
    const { tally, look, context } = this.#options;
    const { effects, files } = context;
    const { fid, size } = file.fresh.entry;
    if (!effects.dry && !(await markDirty(files, fid))) return tally.skip('BUSY');
    await context.step('policy.marked-dirty');
    tally.markedDirty.add(size);
    tally.problem({ fid, ...why });
    await effects.note({ failures: [await this.#failures.entry(fid, why)] });
    if (!effects.dry) await lookAtFiles(look, [fid], NOTHING_MORE);
  }

  async #failed(fid: Fid, size: bigint, why: Why): Promise<FailurePut> {
    this.#options.tally.fail(size, why, { fid });
    this.#options.suspension.count('error');
    return await this.#failures.entry(fid, why);
  }

  #asked(chosen: Chosen): void {
    const { tally, action, suspension, context, tierOf } = this.#options;
    const { blockSize, rangeSize } = context.config.copytool;
    const { fid, size } = chosen.file.fresh.entry;
    tally.asked.add(size);
    tally.rule(chosen.rule.name).add(size);
    if (action === 'archive') {
      tally.costs.add(tierOf(chosen), { operations: archiveOperations(size, blockSize), written: size });
      return;
    }
    tally.costs.add(tierOf(chosen), { recall: recallOperations(size, rangeSize), retrieved: size });
    if (!context.effects.dry) tally.done.add(size);
    suspension.count('good');
    this.#recent.add(fid);
    if (this.#recent.size > RECENT) this.#recent.delete(this.#recent.values().next().value as Fid);
  }
}
