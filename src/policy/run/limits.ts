import type { Policy, Rule, RunLimits } from '../policies.ts';
import type { Clock } from './clock.ts';
import type { RunRequest } from './context.ts';

class Room {
  readonly #limits: RunLimits;
  #files = 0;
  #bytes = 0;

  constructor(limits: RunLimits) {
    this.#limits = limits;
  }

  fits(bytes: number): boolean {
    const { files = Number.POSITIVE_INFINITY, bytes: most = Number.POSITIVE_INFINITY } = this.#limits;
    return this.#files + 1 <= files && this.#bytes + bytes <= most;
  }

  /** Whether it would never fit, however little was done before. */
  isTooLarge(bytes: number): boolean {
    return bytes > (this.#limits.bytes ?? Number.POSITIVE_INFINITY);
  }

  take(bytes: number, sign: 1 | -1 = 1): void {
    this.#files += sign;
    this.#bytes += sign * bytes;
  }
}

/** How much a run may do: files, bytes, time, and what each of its rules allows. */
export class RunRoom {
  readonly #run: Room;
  readonly #rules = new Map<string, Room>();
  readonly #clock: Clock;
  readonly #deadline: number;

  constructor(policy: Policy, request: Pick<RunRequest, 'maxFiles' | 'maxBytes' | 'maxDuration'>, clock: Clock) {
    this.#run = new Room({
      files: least(policy.limits.files, request.maxFiles),
      bytes: least(policy.limits.bytes, request.maxBytes),
    });
    this.#clock = clock;
    const duration = least(policy.limits.durationMs, request.maxDuration);
    this.#deadline = duration === undefined ? Number.POSITIVE_INFINITY : clock.now() + duration;
    for (const { name, limits } of policy.rules) this.#rules.set(name, new Room(limits));
  }

  /** Milliseconds until the run's time is over. */
  get timeLeft(): number {
    return this.#deadline - this.#clock.now();
  }

  /** Which limit, if any, one file more would pass. */
  check(rule: Rule, bytes: number): 'run' | 'rule' | 'too-large' | undefined {
    if (this.#run.isTooLarge(bytes)) return 'too-large';
    if (this.timeLeft <= 0 || !this.#run.fits(bytes)) return 'run';
    return this.#rules.get(rule.name)?.fits(bytes) === false ? 'rule' : undefined;
  }

  take(rule: Rule, bytes: number): void {
    this.#run.take(bytes);
    this.#rules.get(rule.name)?.take(bytes);
  }

  /** It was not done after all. */
  giveBack(rule: Rule, bytes: number): void {
    this.#run.take(bytes, -1);
    this.#rules.get(rule.name)?.take(bytes, -1);
  }
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
