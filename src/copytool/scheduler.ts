/** What goes first: readers that wait, then restores that were asked for, then everything else. */
export const PRIORITY = { blocking: 0, restore: 1, background: 2 } as const;

export type Priority = (typeof PRIORITY)[keyof typeof PRIORITY];

export interface Job {
  readonly priority: Priority;
  /** Of jobs with the same value only one is at work at a time: the file that it is about. */
  readonly alone: string;
  /** Archives that it needs: while one of them is held, it does not begin, or leaves its slot to others. */
  readonly archives: readonly number[];
  /** What it does; kinds can be closed. */
  readonly kind: string;
  /** Beside jobs of these kinds it begins in spite of `alone`. */
  readonly beside?: readonly string[];
  /** Never rejects. */
  run(): Promise<void>;
}

export interface SchedulerOptions {
  /** Jobs at work at the same time. */
  readonly slots: number;
  /** Of these, how many background jobs never take, so that a reader finds one free. */
  readonly reserve: number;
}

/**
 * Starts jobs in order of priority, and within one in the order they came. Its queue is bounded by Lustre's
 * coordinator, which hands out no more than its `max_requests`.
 */
export class Scheduler<J extends Job> {
  #options: SchedulerOptions;
  #closed: ReadonlySet<string> = new Set();
  readonly #queues: readonly [Set<J>, Set<J>, Set<J>] = [new Set(), new Set(), new Set()];
  /** Begun and not ended, those that pause included. */
  readonly #begun = new Set<J>();
  /** The same, by what they keep to themselves. */
  readonly #atFile = new Map<string, Set<J>>();
  /** Those that hold a slot. */
  readonly #running = new Set<J>();
  /** Paused ones that want a slot again, with what lets them go on. */
  readonly #resuming = new Map<J, () => void>();
  #background = 0;
  readonly #held = new Set<number>();
  #onIdle: (() => void)[] = [];

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Those that have not begun. */
  get queued(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.size, 0);
  }

  /** Those that have begun, whether they hold a slot or pause. */
  get running(): number {
    return this.#begun.size;
  }

  /** Takes effect at once; where there are fewer slots now, as jobs leave theirs. */
  setOptions(options: SchedulerOptions): void {
    this.#options = options;
    this.#start();
  }

  /** Jobs of these kinds don't begin, those of all others do. What has begun goes on. */
  setClosed(kinds: ReadonlySet<string>): void {
    this.#closed = kinds;
    this.#start();
  }

  add(job: J): void {
    this.#queues[job.priority].add(job);
    this.#start();
  }

  /** An archive's endpoint does not answer: its jobs at work keep going, without slots; no further ones begin. */
  hold(archive: number): void {
    this.#held.add(archive);
    this.#start();
  }

  /** Its jobs have their slots again, which may be more than there are, until some of them have ended. */
  letGo(archive: number): void {
    this.#held.delete(archive);
    this.#start();
  }

  isHeld(job: J): boolean {
    return this.#held.size > 0 && job.archives.some((archive) => this.#held.has(archive));
  }

  /** Takes a job out that has not begun; false when it has. */
  remove(job: J): boolean {
    const removed = this.#queues[job.priority].delete(job);
    this.#settle();
    return removed;
  }

  /** Takes all jobs of a priority out that have not begun. */
  takeQueued(priority: Priority): J[] {
    const jobs = [...this.#queues[priority]];
    this.#queues[priority].clear();
    this.#settle();
    return jobs;
  }

  isClosed(job: J): boolean {
    return this.#closed.has(job.kind);
  }

  /** Takes all jobs out that have not begun, since their kind is closed. */
  takeClosed(): J[] {
    const jobs = this.#queues.flatMap((queue) => [...queue].filter((job) => this.isClosed(job)));
    for (const job of jobs) this.#queues[job.priority].delete(job);
    this.#settle();
    return jobs;
  }

  /**
   * Leaves the slot of a job at work to others for the time of a wait, and takes up one again afterwards, before those
   * of its priority that have not begun. What was stopped, or failed in its wait, needs no slot to come to its end.
   */
  async pause<T>(job: J, wait: () => Promise<T>, stopped: AbortSignal): Promise<T> {
    this.#leave(job);
    this.#start();
    try {
      const result = await wait();
      if (!stopped.aborted) await this.#slot(job, stopped);
      return result;
    } finally {
      // Without having been given one.
      if (!this.#running.has(job)) this.#occupy(job);
    }
  }

  #slot(job: J, stopped: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const goOn = () => {
        this.#resuming.delete(job);
        stopped.removeEventListener('abort', goOn);
        resolve();
      };
      stopped.addEventListener('abort', goOn);
      this.#resuming.set(job, goOn);
      this.#start();
    });
  }

  /** Resolves as soon as nothing is queued and nothing runs. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle.push(resolve);
      this.#settle();
    });
  }

  #start(): void {
    for (const [index, queue] of this.#queues.entries()) {
      const priority = index as Priority;
      for (const [job, goOn] of this.#resuming) {
        if (job.priority !== priority || !this.#hasRoom(priority)) continue;
        this.#occupy(job);
        goOn();
      }
      for (const job of queue) {
        if (!this.#hasRoom(priority)) break;
        if (this.#mustWait(job) || this.isHeld(job) || this.isClosed(job)) continue;
        queue.delete(job);
        void this.#run(job);
      }
    }
  }

  /** Whether something is at work on its file that it must not begin beside. */
  #mustWait(job: J): boolean {
    const others = this.#atFile.get(job.alone);
    return others !== undefined && [...others].some(({ kind }) => job.beside?.includes(kind) !== true);
  }

  #together(job: J): Set<J> {
    const known = this.#atFile.get(job.alone);
    if (known !== undefined) return known;
    const fresh = new Set<J>();
    this.#atFile.set(job.alone, fresh);
    return fresh;
  }

  #hasRoom(priority: Priority): boolean {
    const { slots, reserve } = this.#options;
    const held = this.#held.size === 0 ? [] : [...this.#running].filter((job) => this.isHeld(job));
    if (this.#running.size - held.length >= slots) return false;
    if (priority !== PRIORITY.background) return true;
    return this.#background - held.filter((job) => job.priority === priority).length < slots - reserve;
  }

  #occupy(job: J): void {
    this.#running.add(job);
    if (job.priority === PRIORITY.background) this.#background += 1;
  }

  #leave(job: J): void {
    this.#running.delete(job);
    if (job.priority === PRIORITY.background) this.#background -= 1;
  }

  async #run(job: J): Promise<void> {
    this.#begun.add(job);
    this.#together(job).add(job);
    this.#occupy(job);
    try {
      await job.run();
    } finally {
      this.#begun.delete(job);
      const together = this.#together(job);
      together.delete(job);
      if (together.size === 0) this.#atFile.delete(job.alone);
      this.#leave(job);
      this.#start();
      this.#settle();
    }
  }

  #settle(): void {
    if (this.queued > 0 || this.#begun.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
