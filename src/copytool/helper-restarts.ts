import { setTimeout as delay } from 'node:timers/promises';
import type { CopytoolChannel } from '../lustre/copytool-channel.ts';
import { RestartBudget } from '../lustre/restart-budget.ts';
import type { CopytoolContext } from './context.ts';

/** Milliseconds between two tries to start a helper, doubled from the first to the last. */
const FIRST_WAIT_MS = 200;
const LAST_WAIT_MS = 5_000;
/** Tries for one helper: about half a minute. */
const TRIES = 10;

/** Starts another helper in the place of one that died: so readers wait no longer than that takes. */
export class HelperRestarts {
  readonly #channel: CopytoolChannel;
  readonly #context: CopytoolContext;
  readonly #budget = new RestartBudget();

  constructor(channel: CopytoolChannel, context: CopytoolContext) {
    this.#channel = channel;
    this.#context = context;
  }

  /**
   * Resolves when the channel is there again. Rejects with what went wrong when that can't be done, with `death` when it
   * has happened too often, and when there is no time left.
   */
  async replace(death: unknown, now: AbortSignal): Promise<void> {
    const { log, stats } = this.#context;
    stats.registration = { registered: false, since: new Date() };
    if (!this.#budget.take()) throw death;
    log.warn('native helper is gone, starting another', { err: death });
    for (let tries = 1, wait = FIRST_WAIT_MS; ; tries++, wait = Math.min(wait * 2, LAST_WAIT_MS)) {
      try {
        // Another file system's actions are not ours to carry out.
        await this.#context.fs.mustBeShown();
        await this.#channel.reopen();
        break;
      } catch (error) {
        if (tries >= TRIES || now.aborted) throw error;
        log.warn('native helper could not be started, trying again', { err: error, tries });
        await delay(wait, undefined, { signal: now }).catch(() => {
          throw error;
        });
      }
    }
    stats.helperRestarts += 1;
    log.info('native helper started again', { helperPid: this.#channel.helper.pid });
  }
}
