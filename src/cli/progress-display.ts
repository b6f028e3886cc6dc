/** Where lines for people go; standard error in the program. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 200;
const PLAIN_MS = 60_000;
const ERASE_LINE = '\r\u001b[K';

/**
 * A line that shows how far long work is: redrawn in place on a terminal, a line of its own a minute otherwise.
 * Other lines go through `line`, so that they don't run into it.
 */
export class ProgressDisplay {
  readonly #screen: Screen;
  readonly #clock: () => number;
  #drawn = false;
  #last: number;

  constructor(screen: Screen = process.stderr, clock: () => number = () => performance.now()) {
    this.#screen = screen;
    this.#clock = clock;
    this.#last = clock();
  }

  get width(): number {
    // A terminal that does not know its width says 0.
    return this.#screen.isTTY === true ? (this.#screen.columns || 80) - 1 : 200;
  }

  /** Shows the state of things, when it is time to. @param text made only then */
  update(text: () => string): void {
    const terminal = this.#screen.isTTY === true;
    const now = this.#clock();
    if (now - this.#last < (terminal ? REDRAW_MS : PLAIN_MS)) return;
    this.#last = now;
    this.#screen.write(terminal ? `${ERASE_LINE}${text()}` : `${text()}\n`);
    this.#drawn = terminal;
  }

  /** A line that stays. */
  line(text: string): void {
    this.clear();
    this.#screen.write(`${text}\n`);
  }

  /** Takes the progress off the screen. */
  clear(): void {
    if (this.#drawn) this.#screen.write(ERASE_LINE);
    this.#drawn = false;
  }
}
