import { isBlobError } from '../blob/errors.ts';
import type { ImportRange } from '../catalog/types.ts';
import type { Page } from './lister.ts';

/** Requests for one place to divide a range at: each is for a single name. */
const PROBES = 8;
/** Empty answers with a token that are followed: the service may give some. */
const EMPTY = 20;

/** Where a range is divided: it ends before `start`, and another one begins there, with `first`. */
export interface Division {
  readonly start: string;
  readonly first: string;
}

/**
 * Finds places at which the rest of a range can be divided, so that somebody else lists a part of it: where the last name that was
 * listed goes on with its next character or a later one. The service is asked for the first name from there on (`startFrom`), so only
 * characters that there are become parts, of whatever alphabet.
 *
 * Boundaries are of characters below the surrogates, so names compare with them alike by code points (as UTF-8) and by UTF-16 units.
 */
export class Splitter {
  readonly #list: (range: ImportRange, most: number) => Promise<Page>;
  #able = true;

  constructor(list: (range: ImportRange, most: number) => Promise<Page>) {
    this.#list = list;
  }

  /** False once the service has shown that it does not know `startFrom`. */
  get able(): boolean {
    return this.#able;
  }

  /**
   * As many divisions as are wanted, as far as there are, one behind the other.
   * @param last the last name of the range that was listed
   * @param shared how many characters of it all later names are known to begin with
   * @returns `shared`, as far as it is known now, and where to divide
   */
  async divide(
    range: ImportRange,
    last: string,
    shared: number,
    most: number,
  ): Promise<{ readonly shared: number; readonly at: readonly Division[] }> {
    const at: Division[] = [];
    let known = shared;
    for (let from = last; at.length < most; ) {
      const found = await this.#divide(range, from, known);
      if (at.length === 0) known = found.shared;
      if (found.at === undefined) break;
      at.push(found.at);
      from = found.at.first;
    }
    return { shared: known, at };
  }

  async #divide(
    range: ImportRange,
    last: string,
    shared: number,
  ): Promise<{ readonly shared: number; readonly at?: Division }> {
    let known = Math.max(shared, range.place.length);
    let probes = 0;
    for (let index = known; index < last.length && probes < PROBES; index++) {
      const next = following(last.charCodeAt(index));
      if (next === 'beyond') break;
      if (next === undefined) continue;
      const start = last.slice(0, index) + next;
      let first: string | undefined;
      if (range.end === undefined || start < range.end) {
        probes += 1;
        first = await this.#first(range, start);
        if (!this.#able) return { shared: known };
      }
      if (first !== undefined && (range.end === undefined || first < range.end))
        return { shared: known, at: { start, first } };
      if (known === index) known = index + 1;
    }
    return { shared: known };
  }

  /** The first name of a range that is not before this. */
  async #first(range: ImportRange, start: string): Promise<string | undefined> {
    let token: string | undefined;
    for (let tries = 0; tries < EMPTY && this.#able; tries++) {
      const page = await this.#list({ ...range, start, token }, 1).catch((error: unknown) => {
        if (!isBlobError(error, 'INVALID')) throw error;
        return undefined;
      });
      const found = page === undefined ? undefined : namesOf(page)[0];
      // It refuses the request, or does not know what `startFrom` says.
      if (page === undefined || (found !== undefined && found < start)) this.#able = false;
      else if (found !== undefined || page.next === undefined) return found;
      token = page?.next;
    }
    return undefined;
  }
}

/** Names and directories of a page, in the order of names. */
export function namesOf({ blobs, directories }: Page): string[] {
  const names = blobs.map(({ name }) => name);
  return directories.length === 0 ? names : [...names, ...directories].sort();
}

/**
 * The next character that may be in a boundary; undefined: there is none, while there may be greater ones in names; beyond: nothing
 * that comes after this character can be compared.
 */
function following(code: number): string | undefined | 'beyond' {
  if (code >= 0xd800) return 'beyond';
  if (code < 0x20) return ' ';
  // DEL and the controls after it are not to be sent.
  if (code >= 0x7e && code < 0xa0) return '\u00a0';
  return code === 0xd7ff ? undefined : String.fromCharCode(code + 1);
}
