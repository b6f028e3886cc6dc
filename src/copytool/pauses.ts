import type { Log } from '../service/log.ts';
import { ACTION_KINDS, type ActionKind } from './stats.ts';

/** A kind of action that is paused. */
export interface Pause {
  readonly since: Date;
  /** Whether what had begun is held, too, before its next block. */
  readonly now: boolean;
}

export interface PauseEffects {
  /** Which kinds must not begin, and which of these are held where they are. */
  readonly apply: (paused: ReadonlySet<ActionKind>, held: ReadonlySet<ActionKind>) => void;
  readonly log: Log;
}

/** Which kinds of action are paused for maintenance. Nothing but a resume, or the end of the copytool, changes it. */
export class Pauses {
  readonly #paused = new Map<ActionKind, Pause>();
  readonly #effects: PauseEffects;

  constructor(effects: PauseEffects) {
    this.#effects = effects;
  }

  /** Those that are paused, in a fixed order. */
  get all(): ReadonlyMap<ActionKind, Pause> {
    return new Map(
      ACTION_KINDS.flatMap((kind) => {
        const pause = this.#paused.get(kind);
        return pause === undefined ? [] : [[kind, pause]];
      }),
    );
  }

  isHeld(kind: ActionKind): boolean {
    return this.#paused.get(kind)?.now === true;
  }

  /** @param now hold what has begun, too. What is held stays held until it is resumed */
  pause(kinds: readonly ActionKind[], now: boolean): void {
    for (const kind of kinds) {
      const before = this.#paused.get(kind);
      // A removal has no blocks to stop before: it is finished within seconds.
      const held = kind !== 'remove' && (now || before?.now === true);
      this.#paused.set(kind, { since: before?.since ?? new Date(), now: held });
    }
    this.#apply();
    this.#effects.log.warn('copytool paused', { kinds, now });
  }

  resume(kinds: readonly ActionKind[]): void {
    for (const kind of kinds) this.#paused.delete(kind);
    this.#apply();
    this.#effects.log.info('copytool resumed', { kinds, stillPaused: [...this.all.keys()] });
  }

  #apply(): void {
    const held = [...this.#paused].filter(([, { now }]) => now).map(([kind]) => kind);
    this.#effects.apply(new Set(this.#paused.keys()), new Set(held));
  }
}
