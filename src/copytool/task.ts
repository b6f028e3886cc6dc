import type { BeginOptions, Begun, CopytoolChannel, HsmAction } from '../lustre/copytool-channel.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ActionStopped, hasErrno } from './action-error.ts';
import type { ActionKind } from './stats.ts';

/** One action of the coordinator's from the moment it is taken until it is ended: once, by whoever comes first. */
export class Task {
  readonly action: HsmAction;
  readonly kind: ActionKind;
  readonly takenAt = performance.now();
  /** When the action's engine began, on the clock of `takenAt`. */
  begunAt: number | undefined;
  /** Whether it waits for something that takes long, without a slot. */
  waiting = false;
  /** Bytes moved so far. */
  moved = 0n;
  /** Bytes of the file, as soon as they are known. */
  size: bigint | undefined;
  /** Told of every block moved; the agent counts with it. */
  onMoved: (bytes: bigint) => void = () => {};
  /** The file's links and the blob, as soon as they are known: for the log. */
  paths: readonly Buffer[] = [];
  blob: string | undefined;
  /** Makes a wait during which others may have the slot; the agent puts in what that takes. */
  pause: <T>(wait: () => Promise<T>) => Promise<T> = (wait) => wait();
  /** Whether a heartbeat is on its way. */
  beating = false;
  #reported = 0n;
  #ended = false;
  readonly #stop = new AbortController();
  readonly #forgotten = Promise.withResolvers<void>();
  readonly #channel: CopytoolChannel;
  readonly #helper: unknown;

  constructor(action: HsmAction, channel: CopytoolChannel) {
    this.#helper = channel.helper;
    this.action = action;
    this.kind = action.action === 'ARCHIVE' ? 'archive' : action.action === 'RESTORE' ? 'restore' : 'remove';
    this.#channel = channel;
  }

  /** Aborted when the action must not go on; the reason is an ActionStopped. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /**
   * Whether the helper that it was taken with is gone. The next one may have adopted the action by now, which is nothing
   * that this task may touch.
   */
  get stale(): boolean {
    return this.#helper !== this.#channel.helper || this.#channel.helper.lost !== undefined;
  }

  /** Whether the action's engine is at work. */
  get running(): boolean {
    return this.begunAt !== undefined;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when it has been ended and nothing here knows it any more. */
  get forgotten(): Promise<void> {
    return this.#forgotten.promise;
  }

  /** Milliseconds since it was taken. */
  get age(): number {
    return performance.now() - this.takenAt;
  }

  forget(): void {
    this.#forgotten.resolve();
  }

  stop(reason: ActionStopped): void {
    if (!this.#ended) this.#stop.abort(reason);
  }

  add(bytes: number): void {
    const count = BigInt(bytes);
    this.moved += count;
    this.onMoved(count);
  }

  /** Begins the action in Lustre. */
  async begin(options: BeginOptions = {}): Promise<Begun> {
    this.#check();
    return await this.#channel.begin(this.action, options);
  }

  /**
   * Tells the coordinator that the action is alive, and asks whether it is still ours.
   * Rejects, having stopped the task, with the ActionStopped when it is not.
   */
  async report(): Promise<void> {
    this.#check();
    const from = this.#reported;
    const moved = this.moved > from ? this.moved - from : 0n;
    this.#reported = from + moved;
    try {
      await this.#channel.progress(this.action, from, moved);
    } catch (error) {
      const stopped = stoppedBy(error);
      if (stopped === undefined) throw error;
      this.stop(stopped);
      throw stopped;
    }
    this.signal.throwIfAborted();
  }

  /** Ends the action well. Rejects with Lustre's ErrnoError (EBUSY: an archived file has changed); it is ended anyhow. */
  async succeed(length: bigint): Promise<void> {
    this.#check();
    this.#ended = true;
    await this.#channel.end(this.action, { offset: 0n, length, errval: 0 });
  }

  #check(): void {
    this.signal.throwIfAborted();
    if (this.stale) throw helperGone();
  }

  /** Ends the action with an error. @param again ask the coordinator to send it again, as far as its policy allows */
  async fail(errno: number, again: boolean): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#channel.end(this.action, { offset: 0n, length: 0n, errval: errno, retry: again });
  }
}

/** Why a task whose helper is gone does not go on. */
export function helperGone(): ActionStopped {
  return new ActionStopped('helper-gone', 'the native helper is gone');
}

/** What a failed progress report says about the action: cancelled, or no longer known. */
function stoppedBy(error: unknown): ActionStopped | undefined {
  if (hasErrno(error, ERRNO.ECANCELED)) return new ActionStopped('cancelled', 'the action was cancelled');
  if (hasErrno(error, ERRNO.ENOENT)) {
    return new ActionStopped('forgotten', 'the coordinator no longer knows the action: it timed out or was purged');
  }
  return undefined;
}
