import { setTimeout as delay } from 'node:timers/promises';
import type { KnownBlob } from '../../catalog/types.ts';
import type { Fid } from '../../identity/fid.ts';
import type { Found } from './findings.ts';
import type { Looked } from './look.ts';
import type { VerifyTally } from './tally.ts';

/** Takes what is found. */
export interface FindingSink {
  /**
   * @param blob what was seen of a blob whose file the catalog does not know: the follower needs it
   * @param again looks for the same once more, and adds it to the sink when it is still there; without: it is certain
   */
  add(found: Found, blob?: KnownBlob, again?: (sink: FindingSink) => Promise<void>): Promise<void>;
}

export interface DoubtsOptions {
  /** Where what is certain goes. */
  readonly findings: FindingSink;
  /** What is still so after this time, of a file that nobody has touched meanwhile, is certain. Milliseconds; 0: at once. */
  readonly settle: number;
  /** As Lustre shows it now. */
  readonly look: (fid: Fid) => Promise<Looked>;
  readonly tally: VerifyTally;
  readonly signal: AbortSignal;
  readonly clock?: { now(): number; wait(milliseconds: number): Promise<void> };
}

interface Doubt {
  readonly found: Found;
  readonly again: (sink: FindingSink) => Promise<void>;
  readonly state: string;
  readonly at: number;
  readonly rounds: number;
}

/** Kept in memory; more are waited for before the verification goes on. */
const MOST = 10_000;
/** A file that is changed so often in a row is left to the follower. */
const ROUNDS = 3;

/**
 * Keeps differences until they have had the time to go away by themselves: users change files while they are verified, and
 * the services follow a moment later. What differs then, too, without the file having changed, is a finding.
 */
export class Doubts implements FindingSink {
  readonly #options: DoubtsOptions;
  readonly #clock: { now(): number; wait(milliseconds: number): Promise<void> };
  #kept: Doubt[] = [];
  #settling: Promise<void> | undefined;

  constructor(options: DoubtsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? {
      now: () => performance.now(),
      wait: (milliseconds) => delay(milliseconds, undefined, { signal: options.signal }).catch(() => undefined),
    };
  }

  async add(found: Found, blob?: KnownBlob, again?: (sink: FindingSink) => Promise<void>): Promise<void> {
    const { findings, settle } = this.#options;
    if (settle === 0 || again === undefined) return await findings.add(found, blob);
    await this.#keep(found, again, 1);
    if (this.#kept.length >= MOST) await this.settle();
  }

  /** Waits until all that is kept is certain or gone. */
  async settle(): Promise<void> {
    this.#settling ??= this.#settleAll().finally(() => {
      this.#settling = undefined;
    });
    await this.#settling;
  }

  async #keep(found: Found, again: Doubt['again'], rounds: number): Promise<void> {
    const state = await this.#state(found.fid);
    this.#kept.push({ found, again, state, at: this.#clock.now(), rounds });
  }

  async #settleAll(): Promise<void> {
    const { settle, signal } = this.#options;
    while (this.#kept.length > 0 && !signal.aborted) {
      const due = this.#kept;
      this.#kept = [];
      for (const doubt of due) {
        const left = doubt.at + settle - this.#clock.now();
        if (left > 0) await this.#clock.wait(left);
        if (signal.aborted) return;
        await this.#decide(doubt);
      }
    }
  }

  async #decide({ found, again, state, rounds }: Doubt): Promise<void> {
    const { findings, tally } = this.#options;
    const still = new Collector();
    await again(still);
    const one = still.like(found);
    if (one === undefined) return;
    if ((await this.#state(found.fid)) === state) return await findings.add(one.found, one.blob);
    if (rounds === ROUNDS) tally.pending += 1;
    else await this.#keep(one.found, again, rounds + 1);
  }

  /** What users change of a file, in one word: it is another one after any change. */
  async #state(fid: Fid): Promise<string> {
    const one = await this.#options.look(fid);
    if (one === 'dead' || one === 'failed') return one;
    const { mode, uid, gid, size, mtime, ctime, nlink, hsm, archive } = one.entry;
    const paths = one.paths.map((path) => path.toString('latin1')).sort();
    return [mode, uid, gid, size, mtime, ctime, nlink, hsm, archive, ...paths].join('\0');
  }
}

/** What a second look finds. */
class Collector implements FindingSink {
  readonly #all: { readonly found: Found; readonly blob: KnownBlob | undefined }[] = [];

  async add(found: Found, blob?: KnownBlob): Promise<void> {
    this.#all.push({ found, blob });
  }

  like({ code, fid, archive, blob: name }: Found) {
    return this.#all.find(
      ({ found }) => found.code === code && found.fid === fid && found.archive === archive && found.blob === name,
    );
  }
}
