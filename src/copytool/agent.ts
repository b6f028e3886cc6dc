import { setTimeout as delay } from 'node:timers/promises';
import { BlobError } from '../blob/errors.ts';
import type { Config } from '../config/types.ts';
import type { CopytoolChannel, HsmAction } from '../lustre/copytool-channel.ts';
import { ERRNO, errnoName } from '../lustre/errno.ts';
import { actionKey } from '../lustre/hsm-action.ts';
import { printable } from '../lustre/printable.ts';
import type { Log } from '../service/log.ts';
import { ActionError, ActionStopped, endingOf, hasErrno } from './action-error.ts';
import { adoptAll } from './adoption.ts';
import { archive } from './archive.ts';
import type { ActionJournal, Archive, CopytoolContext } from './context.ts';
import { endFailedArchive } from './failed-archive.ts';
import { HelperRestarts } from './helper-restarts.ts';
import type { Outcome } from './outcome.ts';
import { remove } from './remove.ts';
import { restore } from './restore.ts';
import { type Job, PRIORITY, type Priority, Scheduler } from './scheduler.ts';
import { type ActionKind, countError, countersOf, type FailureNote, noteFailure } from './stats.ts';
import { helperGone, Task } from './task.ts';

/** Lustre 2.16 and later mark requests of programs that wait for the data (HSM_REQ_BLOCKING). */
const BLOCKING = 0x4;
/** What is left for ending actions after they were stopped, milliseconds. */
const LAST_GRACE_MS = 4_000;
const NO_JOURNAL: ActionJournal = { unfinished: [], taken: () => {}, adopted: () => {}, ended: () => {} };

export interface AgentOptions {
  readonly channel: CopytoolChannel;
  readonly context: CopytoolContext;
  readonly journal?: ActionJournal;
  /** Called whenever the actions have been kept alive: at every heartbeat. */
  readonly onBeat?: () => void;
}

/** How the agent is asked to stop: first to take nothing new and finish what is at work, then at once. */
export interface StopSignals {
  readonly drain: AbortSignal;
  readonly now: AbortSignal;
}

interface TaskJob extends Job {
  readonly task: Task;
}

/** Takes the coordinator's actions, has them carried out, and ends every one of them exactly once. */
export class CopytoolAgent {
  readonly #channel: CopytoolChannel;
  readonly #context: CopytoolContext;
  readonly #journal: ActionJournal;
  readonly #log: Log;
  readonly #scheduler: Scheduler<TaskJob>;
  readonly #jobs = new Map<string, TaskJob>();
  readonly #restarts: HelperRestarts;
  readonly #onBeat: () => void;
  #adoption = new AbortController();
  #draining = false;
  #paused: ReadonlySet<ActionKind> = new Set();
  #held: ReadonlySet<ActionKind> = new Set();
  readonly #resumedAt = new Map<string, number>();

  constructor({ channel, context, journal, onBeat }: AgentOptions) {
    this.#channel = channel;
    this.#context = context;
    this.#journal = journal ?? NO_JOURNAL;
    this.#onBeat = onBeat ?? (() => {});
    this.#log = context.log;
    this.#restarts = new HelperRestarts(channel, context);
    this.#scheduler = new Scheduler({ slots: context.config.concurrency, reserve: context.config.restoreReserve });
    context.endpoints.attach({
      held: (archive) => [...this.#jobs.values()].filter((job) => job.archives.includes(archive)).length,
      changed: (archive, down) => (down ? this.#scheduler.hold(archive) : this.#scheduler.letGo(archive)),
    });
  }

  /** Every action that was taken and has not ended, the oldest first. */
  *tasks(): Generator<Task> {
    for (const { task } of this.#jobs.values()) yield task;
  }

  /** Takes effect at once. */
  setConcurrency({ concurrency, restoreReserve }: Pick<Config['copytool'], 'concurrency' | 'restoreReserve'>): void {
    this.#scheduler.setOptions({ slots: concurrency, reserve: restoreReserve });
  }

  /** Actions of these kinds don't begin, and are kept alive. @param held those that have begun don't go on, either */
  setPaused(kinds: ReadonlySet<ActionKind>, held: ReadonlySet<ActionKind>): void {
    for (const kind of this.#paused) if (!kinds.has(kind)) this.#resumedAt.set(kind, performance.now());
    this.#paused = kinds;
    this.#scheduler.setClosed(kinds);
    this.#held = held;
  }

  /**
   * Works until asked to stop. Resolves when everything at work has ended, or was ended with an error because the time
   * was up; rejects when the helper is gone, and with it the connection to Lustre.
   */
  async run(stop: StopSignals): Promise<void> {
    const heartbeat = setInterval(() => {
      this.#beat();
      this.#giveUpHeld();
      this.#onBeat();
    }, this.#context.config.heartbeat);
    const intake = this.#takeAll(stop.now);
    void this.#adopt();
    try {
      await Promise.race([intake, aborted(stop.drain), aborted(stop.now)]);
      await Promise.race([intake, this.#drain(stop.now)]);
      await this.#stopAll(new ActionStopped('shutdown', 'the copytool is stopping'));
    } catch (error) {
      await this.#stopAll(helperGone());
      throw error;
    } finally {
      this.#adoption.abort();
      clearInterval(heartbeat);
      intake.catch(() => {});
    }
  }

  /**
   * Never ends by itself: rejects when the helper is gone and can't be replaced. After `close` it just stays.
   * @param now when nothing is to be started any more
   */
  async #takeAll(now: AbortSignal): Promise<never> {
    for (;;) {
      try {
        for await (const action of this.#channel.actions) {
          if (action.action === 'CANCEL') this.#cancel(action);
          else await this.#take(action);
        }
        return await new Promise<never>(() => {});
      } catch (error) {
        if (!this.#channel.isLoss(error) || now.aborted) throw error;
        await this.#replaceHelper(error, now);
      }
    }
  }

  /** What was at work with the helper that is gone begins anew with the next: Lustre still has it as running. */
  async #replaceHelper(error: unknown, now: AbortSignal): Promise<void> {
    this.#adoption.abort();
    for (const { task } of [...this.#jobs.values()]) task.stop(helperGone());
    await this.#restarts.replace(error, now);
    this.#adoption = new AbortController();
    void this.#adopt();
  }

  /** Takes up what was left behind, next to what comes in. */
  async #adopt(): Promise<void> {
    const { signal } = this.#adoption;
    await adoptAll(this.#journal.unfinished, {
      channel: this.#channel,
      context: this.#context,
      signal,
      take: (action) => this.#take(action, signal),
      forget: (action) => this.#journal.ended(action),
    });
  }

  /** @param adoption of an action that the journal has already: when it is aborted, the action is not taken */
  async #take(action: HsmAction, adoption?: AbortSignal): Promise<void> {
    // The coordinator may send an action again as soon as it hears of its end: heartbeats, cancels and the journal
    // know it by its name, which must be free by then.
    await this.#jobs.get(actionKey(action))?.task.forgotten;
    if (adoption?.aborted === true) return;
    const task = new Task(action, this.#channel);
    const counters = countersOf(this.#context.stats, task.kind, action.archive);
    counters.taken += 1;
    counters.queued += 1;
    if (adoption === undefined) this.#journal.taken(action);
    else this.#journal.adopted(action);
    // One action per file at a time: a removal beside an archive could take the copy that the archive has just written.
    const { kind } = task;
    const job: TaskJob = {
      task,
      kind,
      priority: priorityOf(task),
      alone: action.fid,
      // An archive that was overtaken by another machine's, and by a release, reads a released file: only the restore that
      // it waits for itself lets it come to its end.
      ...(kind === 'restore' ? { beside: ['archive'] } : {}),
      archives: action.archive === 0 ? [...this.#context.archives.keys()] : [action.archive],
      run: () => this.#run(job),
    };
    task.pause = (wait) => this.#pause(job, wait);
    task.onMoved = (bytes) => {
      counters.moved += bytes;
    };
    this.#jobs.set(actionKey(action), job);
    task.signal.addEventListener('abort', () => {
      const reason = task.signal.reason as ActionStopped;
      this.#log.debug(`action ${reason.code}`, { fid: action.fid, cookie: action.cookie.toString() });
      // Forgotten may be the copytool itself, with all its actions.
      if (reason.code === 'forgotten') this.#channel.renew().catch(() => {});
      if (this.#scheduler.remove(job)) void this.#finish(job, task.signal.reason);
    });
    this.#log.debug('action taken', {
      action: task.kind,
      fid: action.fid,
      cookie: action.cookie.toString(),
      archive: action.archive,
    });
    if (this.#draining && (job.priority === PRIORITY.background || this.#scheduler.isClosed(job)))
      await this.#finish(job, new ActionStopped('shutdown', 'the copytool is stopping'));
    else this.#scheduler.add(job);
  }

  #cancel(cancel: HsmAction): void {
    const job = this.#jobs.get(actionKey(cancel));
    if (job === undefined) {
      this.#log.debug('cancel for an action that is not ours', { fid: cancel.fid, cookie: cancel.cookie.toString() });
      return;
    }
    this.#context.stats.cancels += 1;
    job.task.stop(new ActionStopped('cancelled', 'the action was cancelled'));
  }

  async #pause<T>(job: TaskJob, wait: () => Promise<T>): Promise<T> {
    job.task.waiting = true;
    try {
      return await this.#scheduler.pause(job, wait, job.task.signal);
    } finally {
      job.task.waiting = false;
    }
  }

  async #run(job: TaskJob): Promise<void> {
    const { task } = job;
    const counters = countersOf(this.#context.stats, task.kind, task.action.archive);
    task.begunAt = performance.now();
    counters.queued -= 1;
    counters.running += 1;
    try {
      const outcome = await this.#carryOut(task);
      counters.succeeded += 1;
      counters.bytes += outcome.bytes;
      counters.running -= 1;
      this.#log.info(`${task.kind} done`, { ...described(task), outcome: 'ok', ...reported(outcome) });
      this.#forget(job);
    } catch (error) {
      await this.#finish(job, task.signal.aborted ? task.signal.reason : error);
    }
  }

  async #carryOut(task: Task): Promise<Outcome> {
    const { archives } = this.#context;
    const target = archives.get(task.action.archive);
    // Archive id 0 addresses every archive; Lustre sends it for removals only.
    const targets = task.action.archive === 0 ? [...archives.values()] : target === undefined ? [] : [target];
    if (task.kind === 'remove' && targets.length > 0) return await remove(task, targets, this.#context);
    if (target === undefined) throw unknownArchive(task.action, archives);
    return await (task.kind === 'archive' ? archive : restore)(task, target, this.#context);
  }

  /** Ends a task that failed, was cancelled or is handed back. Never rejects. */
  async #finish(job: TaskJob, failure: unknown): Promise<void> {
    const { task } = job;
    const error = task.stale || this.#channel.isLoss(failure) ? helperGone() : failure;
    const { stats } = this.#context;
    const counters = countersOf(stats, task.kind, task.action.archive);
    counters[task.running ? 'running' : 'queued'] -= 1;
    const ending = endingOf(error);
    const cancelled = ending.code === 'cancelled';
    counters[cancelled ? 'cancelled' : 'failed'] += 1;
    if (!cancelled) countError(stats, ending.code);
    const fields = {
      ...described(task),
      outcome: cancelled ? 'cancelled' : 'failed',
      code: ending.code,
      errno: errnoName(ending.errno),
      reason: error instanceof Error ? error.message : String(error),
      ...hintOf(error),
    };
    if (cancelled || error instanceof ActionStopped || ending.errno === ERRNO.EALREADY)
      this.#log.info(`${task.kind} not done`, fields);
    else {
      this.#log.warn(`${task.kind} failed`, { ...fields, ...(ending.code === 'unexpected' ? { err: error } : {}) });
      noteFailure(stats, noteOf(task, ending.code, error));
    }
    const kept = ending.code === 'helper-gone';
    if (!kept) await this.#end(task, ending.errno, ending.again);
    this.#forget(job, kept);
  }

  async #end(task: Task, errno: number, again: boolean): Promise<void> {
    try {
      const { fs } = this.#context;
      if (task.kind === 'archive') await endFailedArchive(task, { errno, again }, fs.files, this.#log);
      else await task.fail(errno, again);
    } catch (failure) {
      // ENOENT: the coordinator has given the action up already, which is as good.
      const level = hasErrno(failure, ERRNO.ENOENT) ? 'debug' : 'warn';
      this.#log[level]('action could not be ended', {
        fid: task.action.fid,
        cookie: task.action.cookie.toString(),
        err: failure,
      });
    }
  }

  /** @param kept it was not ended, and stays in the journal to be adopted */
  #forget(job: TaskJob, kept = false): void {
    const { action } = job.task;
    // The coordinator may have sent it again already, under the same name.
    if (this.#jobs.get(actionKey(action)) === job) this.#jobs.delete(actionKey(action));
    if (!kept) this.#journal.ended(action);
    job.task.forget();
  }

  /** Keeps every action alive that was taken and not ended, those that wait included. */
  #beat(): void {
    for (const { task } of this.#jobs.values()) {
      if (task.beating || task.ended || task.signal.aborted) continue;
      task.beating = true;
      this.#context.stats.heartbeats += 1;
      void task
        .report()
        .catch((error: unknown) => {
          if (!task.ended && !(error instanceof ActionStopped))
            this.#log.debug('heartbeat failed', { fid: task.action.fid, err: error });
        })
        .finally(() => {
          task.beating = false;
        });
    }
  }

  /** Those at work are given up by their store. Those that were not begun, since the endpoint is down, are ended here. */
  #giveUpHeld(): void {
    const { endpoints, config } = this.#context;
    for (const job of this.#jobs.values()) {
      // What is paused waits for an operator, who knows why, and is held for its whole time after that.
      if (!this.#scheduler.isHeld(job) || this.#scheduler.isClosed(job)) continue;
      const resumedFor = performance.now() - (this.#resumedAt.get(job.kind) ?? Number.NEGATIVE_INFINITY);
      const down = job.archives.find((archive) => endpoints.outage(archive) !== undefined);
      const outage = down === undefined ? undefined : endpoints.outage(down);
      const lasts = down === undefined ? undefined : endpoints.lasts(down);
      if (outage === undefined || lasts === undefined) continue;
      if (Math.min(job.task.age, resumedFor, lasts) < config.holdTimeout) continue;
      if (!this.#scheduler.remove(job)) continue;
      const { code, reason, hint } = outage;
      const details = { code, retriable: code !== 'AUTH', ...(hint === undefined ? {} : { hint }) };
      void this.#finish(job, new BlobError(`held for copytool.hold_timeout: ${reason}`, details));
    }
  }

  /**
   * Hands back what can wait, or is paused, and lets restores (somebody waits for them) and what is at work come to their
   * end.
   */
  async #drain(now: AbortSignal): Promise<void> {
    this.#draining = true;
    const waiting = [...this.#scheduler.takeQueued(PRIORITY.background), ...this.#scheduler.takeClosed()];
    this.#log.info('copytool stopping', {
      running: this.#scheduler.running,
      queued: this.#scheduler.queued,
      handedBack: waiting.length,
    });
    await Promise.all(
      waiting.map((job) => this.#finish(job, new ActionStopped('shutdown', 'the copytool is stopping'))),
    );
    const held = [...this.#jobs.values()].filter(({ task }) => task.running && this.#held.has(task.kind));
    for (const { task } of held) task.stop(new ActionStopped('shutdown', 'the copytool is stopping'));
    const timer = new AbortController();
    const late = delay(this.#context.config.drainTimeout, undefined, { signal: timer.signal }).catch(() => {});
    await Promise.race([this.#scheduler.idle(), late, aborted(now)]);
    timer.abort();
  }

  async #stopAll(reason: ActionStopped): Promise<void> {
    this.#draining = true;
    for (const { task } of [...this.#jobs.values()]) task.stop(reason);
    const timer = new AbortController();
    const late = delay(LAST_GRACE_MS, undefined, { signal: timer.signal }).catch(() => {});
    await Promise.race([this.#scheduler.idle(), late]);
    timer.abort();
  }
}

function priorityOf(task: Task): Priority {
  if (task.kind !== 'restore') return PRIORITY.background;
  return (task.action.flags & BLOCKING) !== 0 ? PRIORITY.blocking : PRIORITY.restore;
}

function unknownArchive(action: HsmAction, archives: ReadonlyMap<number, Archive>): ActionError {
  const known = [...archives.keys()].join(', ');
  return new ActionError(
    'archive-id',
    ERRNO.ENXIO,
    `archive id ${action.archive} is not configured here (configured: ${known})`,
  );
}

function described(task: Task): Record<string, unknown> {
  const [path, ...others] = task.paths;
  return {
    action: task.kind,
    fid: task.action.fid,
    archive: task.action.archive,
    ...(path === undefined ? {} : { path: printable(path) }),
    ...(others.length === 0 ? {} : { links: task.paths.length }),
    ...(task.blob === undefined ? {} : { blob: task.blob }),
    durationMs: Math.round(task.age),
  };
}

function noteOf(task: Task, code: string, error: unknown): FailureNote {
  const [path] = task.paths;
  const { message } = error as { message?: string };
  return {
    at: new Date(),
    kind: task.kind,
    archive: task.action.archive,
    fid: task.action.fid,
    ...(path === undefined ? {} : { path: printable(path) }),
    code,
    reason: message ?? String(error),
    ...hintOf(error),
  };
}

/** What to do about it, where that is known. */
function hintOf(error: unknown): { readonly hint?: string } {
  const { hint } = (error ?? {}) as { hint?: unknown };
  return typeof hint === 'string' ? { hint } : {};
}

function reported(outcome: Outcome): Record<string, unknown> {
  return {
    bytes: Number(outcome.bytes),
    ...(outcome.note === undefined ? {} : { note: outcome.note }),
    ...(outcome.recognised === undefined || outcome.recognised === 'record' ? {} : { recognised: outcome.recognised }),
  };
}

/** Resolves when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
