import type { Requests } from './attributes.ts';
import type { HelperProcess } from './helper.ts';
import { RestartBudget } from './restart-budget.ts';

/**
 * A helper for requests on files that is started again when it dies. Requests that were under way are sent again: all of
 * those on files have the same effect when they are done twice.
 */
export class SteadyHelper implements Requests {
  readonly #start: () => Promise<HelperProcess>;
  readonly #budget = new RestartBudget();
  #current: HelperProcess;
  #next: Promise<HelperProcess> | undefined;
  readonly #gone = Promise.withResolvers<never>();
  #closed = false;

  /** @param start starts one like `helper` */
  constructor(helper: HelperProcess, start: () => Promise<HelperProcess>) {
    this.#current = helper;
    this.#start = start;
    this.#gone.promise.catch(() => {});
  }

  /** Rejects when it could not be started again, or died too often. */
  get gone(): Promise<never> {
    return this.#gone.promise;
  }

  get process(): HelperProcess {
    return this.#current;
  }

  /** As HelperProcess.request; rejects with the helper's death only when it dies again and again. */
  async request<T extends object>(op: string, fields: object): Promise<T> {
    for (;;) {
      const helper = this.#current;
      try {
        return await helper.request<T>(op, fields);
      } catch (error) {
        if (this.#closed || error !== helper.lost) throw error;
        if (helper === this.#current) await this.#restart(error);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#next?.catch(() => {});
    await this.#current.close();
  }

  async #restart(error: unknown): Promise<void> {
    if (this.#next === undefined) {
      if (!this.#budget.take()) {
        this.#gone.reject(error);
        throw error;
      }
      this.#next = this.#start().finally(() => {
        this.#next = undefined;
      });
      this.#next.catch((failure: unknown) => this.#gone.reject(failure));
    }
    this.#current = await this.#next;
  }
}
