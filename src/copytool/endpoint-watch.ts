import type { EndpointEvent } from '../blob/endpoint.ts';
import type { Log } from '../service/log.ts';
import { formatDuration } from '../service/units.ts';

/** Milliseconds between two lines about one outage. */
const REMIND_EVERY = 300_000;

type Down = Extract<EndpointEvent, { state: 'down' }>;

/** Who has work that waits. */
export interface Waiting {
  /** Actions that are held because of an archive. */
  readonly held: (archive: number) => number;
  /** An archive's endpoint went down, or came back. */
  readonly changed: (archive: number, down: boolean) => void;
}

export interface EndpointWatchOptions {
  readonly log: Log;
  /** For how long actions are held, for the log. Milliseconds. */
  readonly holdTimeout: number;
  readonly remindEvery?: number;
}

/**
 * Knows which archives' endpoints are out of reach, from what their stores tell: one store, or one for each thread. Says
 * so in the log once at the beginning, then at intervals, and at the end.
 */
export class EndpointWatch {
  readonly #options: EndpointWatchOptions;
  /** By archive: which of its stores, by any name, have an outage. */
  readonly #down = new Map<number, Map<string, Down>>();
  readonly #reminders = new Map<number, NodeJS.Timeout>();
  /** By archive: when the first store told of the outage, by performance.now(). */
  readonly #begun = new Map<number, number>();
  #waiting: Waiting = { held: () => 0, changed: () => {} };

  constructor(options: EndpointWatchOptions) {
    this.#options = options;
  }

  attach(waiting: Waiting): void {
    this.#waiting = waiting;
  }

  /** The outage of an archive's endpoint; undefined when there is none. */
  outage(archive: number): Down | undefined {
    const [first, ...others] = this.#down.get(archive)?.values() ?? [];
    return first === undefined ? undefined : others.reduce((a, b) => (b.since < a.since ? b : a), first);
  }

  /** For how long an archive has an outage, in milliseconds; undefined when it has none. Setting the clock changes nothing. */
  lasts(archive: number): number | undefined {
    const begun = this.#begun.get(archive);
    return begun === undefined ? undefined : performance.now() - begun;
  }

  /** What a store told. @param store any name, for one of several stores of the archive */
  report(archive: number, event: EndpointEvent, store = ''): void {
    const before = this.outage(archive);
    const stores = this.#down.get(archive) ?? new Map<string, Down>();
    if (event.state === 'down') stores.set(store, event);
    else stores.delete(store);
    if (stores.size > 0) this.#down.set(archive, stores);
    else this.#down.delete(archive);
    const now = this.outage(archive);
    if (now === undefined) this.#begun.delete(archive);
    else if (before === undefined) this.#begun.set(archive, performance.now());
    if (before === undefined && now !== undefined) this.#begin(archive, now);
    else if (before !== undefined && now === undefined) this.#end(archive, before);
  }

  stop(): void {
    for (const timer of this.#reminders.values()) clearInterval(timer);
    this.#reminders.clear();
  }

  #begin(archive: number, { code, reason, hint, since }: Down): void {
    const { log, holdTimeout, remindEvery = REMIND_EVERY } = this.#options;
    const holdFor = formatDuration(holdTimeout);
    const refused = code === 'AUTH';
    this.#waiting.changed(archive, true);
    log.warn(refused ? 'credential refused, actions are held' : 'endpoint out of reach, actions are held', {
      archive,
      held: this.#waiting.held(archive),
      holdFor,
      code,
      reason,
      hint,
    });
    const remind = () => {
      const reasonNow = this.outage(archive)?.reason ?? reason;
      log.warn(refused ? 'credential is still refused' : 'endpoint is still out of reach', {
        archive,
        held: this.#waiting.held(archive),
        since: new Date(since).toISOString(),
        holdFor,
        reason: reasonNow,
        hint,
      });
    };
    this.#reminders.set(archive, setInterval(remind, remindEvery).unref());
  }

  #end(archive: number, { code, since }: Down): void {
    clearInterval(this.#reminders.get(archive));
    this.#reminders.delete(archive);
    this.#options.log.info(code === 'AUTH' ? 'credential accepted again' : 'endpoint answers again', {
      archive,
      held: this.#waiting.held(archive),
      lastedMs: Date.now() - since,
    });
    this.#waiting.changed(archive, false);
  }
}
