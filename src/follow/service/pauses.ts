/** Whether the work in the containers is paused for maintenance. Records are taken in all the while. */
export class Pauses {
  readonly #changed: (paused: boolean) => void;
  #since: Date | undefined;

  constructor(changed: (paused: boolean) => void) {
    this.#changed = changed;
  }

  get since(): Date | undefined {
    return this.#since;
  }

  get paused(): boolean {
    return this.#since !== undefined;
  }

  pause(): void {
    this.#since ??= new Date();
    this.#changed(true);
  }

  resume(): void {
    this.#since = undefined;
    this.#changed(false);
  }
}
