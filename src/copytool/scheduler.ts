/** What goes first: readers that wait, then restores that were asked for, then everything else. */
export const PRIORITY = { blocking: 0, restore: 1, background: 2 } as const;

export type Priority = (typeof PRIORITY)[keyof typeof PRIORITY];

export interface Job {
  readonly priority: Priority;
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
  readonly #options: SchedulerOptions;
  readonly #queues: readonly [Set<J>, Set<J>, Set<J>] = [new Set(), new Set(), new Set()];
  readonly #running = new Set<J>();
  #background = 0;
  #onIdle: (() => void)[] = [];

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get queued(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.size, 0);
  }

  get running(): number {
    return this.#running.size;
  }

  add(job: J): void {
    this.#queues[job.priority].add(job);
    this.#start();
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

  /** Resolves as soon as nothing is queued and nothing runs. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle.push(resolve);
      this.#settle();
    });
  }

  #start(): void {
    for (const [priority, queue] of this.#queues.entries()) {
      for (const job of queue) {
        if (!this.#hasRoom(priority as Priority)) break;
        queue.delete(job);
        void this.#run(job);
      }
    }
  }

  #hasRoom(priority: Priority): boolean {
    if (this.#running.size >= this.#options.slots) return false;
    return priority !== PRIORITY.background || this.#background < this.#options.slots - this.#options.reserve;
  }

  async #run(job: J): Promise<void> {
    const background = job.priority === PRIORITY.background ? 1 : 0;
    this.#running.add(job);
    this.#background += background;
    try {
      await job.run();
    } finally {
      this.#running.delete(job);
      this.#background -= background;
      this.#start();
      this.#settle();
    }
  }

  #settle(): void {
    if (this.queued > 0 || this.#running.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
