/** Where something stands in an order: by value, then by key. */
export type Position = readonly [value: number, key: number];

/** The first so many of all that are added, in the order of (value, key), after a position. */
export class FirstOnes {
  full = false;
  readonly #most: number;
  readonly #after: Position | undefined;
  #kept: Position[] = [];
  #unsorted = 0;
  #last: Position | undefined;

  constructor(most: number, after: Position | undefined) {
    this.#most = most;
    this.#after = after;
  }

  add(value: number, key: number): void {
    if (this.#after !== undefined && !isBefore(this.#after, value, key)) return;
    if (this.#last !== undefined && isBefore(this.#last, value, key)) return;
    this.#kept.push([value, key]);
    this.#unsorted += 1;
    // What is sorted already stays so: each time, a small part is sorted and merged in.
    if (this.#unsorted >= Math.max(1, this.#most / 8)) this.#cut();
  }

  inOrder(): readonly Position[] {
    this.#cut();
    return this.#kept;
  }

  #cut(): void {
    this.#unsorted = 0;
    this.#kept.sort(([a, b], [c, d]) => a - c || b - d);
    if (this.#kept.length <= this.#most) return;
    this.full = true;
    this.#kept.length = this.#most;
    this.#last = this.#kept[this.#most - 1];
  }
}

const isBefore = (position: Position, value: number, key: number): boolean =>
  position[0] < value || (position[0] === value && position[1] < key);
