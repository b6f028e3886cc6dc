import { lstat } from 'node:fs/promises';
import type { Fid } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { HsmRequest } from '../lustre/lfs.ts';
import { forEachBounded } from '../service/bounded.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { RateBucket } from '../service/rate-bucket.ts';
import { type Answer, askFor, BatchSize, type SecondLook } from './ask.ts';
import { type Chosen, choose } from './choose.ts';
import { compileFilters, type FilterOptions } from './filters.ts';
import { mapAhead } from './pipeline.ts';
import { Places } from './places.ts';
import { secondLookOf, statesOf } from './states.ts';
import { type RequestSummary, Tally } from './tally.ts';
import type { CopyVerifier, Outcome, RequestEvent, RequestFile, Verb, Why } from './types.ts';
import { isImmediate, judge, type States } from './verbs.ts';
import { Watch } from './watch.ts';

export interface RequestOptions {
  readonly verb: Verb;
  readonly files: Pick<LustreFiles, 'getMany'>;
  /** The mount point, canonical. */
  readonly mount: string;
  /** Sends one request (`hsmRequest` of src/lustre/lfs.ts). */
  readonly send: (request: HsmRequest) => Promise<void>;
  readonly paths: AsyncIterable<Buffer> | Iterable<Buffer>;
  readonly recursive: boolean;
  readonly filters: FilterOptions;
  /** Archive id for files that have none yet; a file that has one keeps it unless `forceArchive`. */
  readonly archive?: number | undefined;
  /** Ask for `archive` whatever the file says: one that belongs to another archive is refused. */
  readonly forceArchive?: boolean;
  /** Opaque data for the copytool. */
  readonly data?: string | undefined;
  /** Files in one request at most, and requests at the same time. */
  readonly batch: number;
  readonly parallel: number;
  /** Follow to the end. */
  readonly wait?: { readonly pollInterval: number; readonly timeout?: number | undefined } | undefined;
  /**
   * At most so many asked for and not at their end, and so many a second: what is beyond waits here, not in the
   * coordinator. Without `wait` the run ends when the last one was asked for.
   */
  readonly throttle?:
    | { readonly outstanding: number; readonly perSecond: number | undefined; readonly pollInterval: number }
    | undefined;
  readonly dryRun: boolean;
  /** Asked before a release; undefined: release without looking. */
  readonly verifier?: CopyVerifier | undefined;
  readonly onEvent: (event: RequestEvent) => void;
  /** Stops the run: nothing more is chosen or asked for; what was asked for goes on in Lustre. */
  readonly signal?: AbortSignal | undefined;
  /** The `lfs` program. */
  readonly lfs?: string | undefined;
}

/** Files followed at a time with `wait`: deep enough to keep copytools busy, shallow enough to cancel. */
const WINDOW = 2_000;
const VERIFY_AT_ONCE = 16;
const CHECKS_AHEAD = 2;

/**
 * Asks the coordinator for the files that paths stand for. It goes on past files that can't be asked for, and gives
 * the count of everything. Errors that end the run early are in the summary's `stoppedBy`.
 */
export async function runRequest(options: RequestOptions): Promise<RequestSummary> {
  const run = new Run(options);
  const stoppedBy = await run.carryOut();
  return run.tally.summary({
    verb: options.verb,
    dryRun: options.dryRun,
    waited: options.wait !== undefined && !isImmediate(options.verb),
    stalled: run.stalled,
    stoppedBy,
  });
}

/** A file that is to be asked for, or already is. */
interface Ready {
  readonly file: RequestFile;
  readonly underWay: boolean;
}

class Run {
  readonly tally = new Tally();
  readonly #options: RequestOptions;
  readonly #size: BatchSize;
  readonly #watch: Watch | undefined;
  readonly #places: Places | undefined;
  readonly #pace: RateBucket | undefined;
  /** Of the mount, when it was first looked at. */
  #device: bigint | undefined;

  constructor(options: RequestOptions) {
    this.#options = options;
    this.#size = new BatchSize(Math.min(options.batch, options.throttle?.outstanding ?? options.batch));
    const { wait, throttle, verb, dryRun, signal } = options;
    const following = wait ?? throttle;
    if (following === undefined || dryRun || isImmediate(verb)) return;
    if (throttle !== undefined) {
      this.#places = new Places(throttle.outstanding);
      this.#pace = new RateBucket();
      this.#pace.setRate(throttle.perSecond);
    }
    this.#watch = new Watch({
      pollInterval: following.pollInterval,
      timeout: wait?.timeout,
      verb,
      signal,
      window: Math.max(WINDOW, throttle?.outstanding ?? 0),
      leftAs: wait === undefined ? 'asked' : 'pending',
      look: async (fids) => {
        await this.#checkMount();
        return await this.#states(fids);
      },
      onEnd: (file, outcome, why) => {
        this.#places?.give();
        this.#end(file, outcome, why);
      },
      onStall: (since) => this.#options.onEvent({ type: 'stalled', since }),
      onRound: (bytes) => {
        this.tally.moving(bytes);
        this.#progress();
      },
    });
  }

  /** Nothing that was waited for was seen to start. */
  get stalled(): boolean {
    return this.#watch?.stalled ?? false;
  }

  /** @returns why it stopped early */
  async carryOut(): Promise<Error | undefined> {
    const { signal, parallel } = this.#options;
    let stoppedBy: Error | undefined;
    try {
      if (this.#watch !== undefined) await this.#checkMount();
      await forEachBounded(this.#batches(), (batch) => this.#ask(batch), { concurrency: parallel, signal });
    } catch (error) {
      stoppedBy = asError(error);
    }
    try {
      if (this.#options.wait === undefined) await this.#watch?.leave();
      else await this.#watch?.finish();
    } catch (error) {
      stoppedBy ??= asError(error);
    }
    this.tally.selectionDone();
    this.#progress();
    return stoppedBy ?? (signal?.aborted === true ? asError(signal.reason) : undefined);
  }

  /** Files to be asked for, in batches with one archive id each. */
  async *#batches(): AsyncGenerator<RequestFile[], void, undefined> {
    const held = new Map<number, RequestFile[]>();
    for await (const group of mapAhead(this.#choose(), CHECKS_AHEAD, (group) => this.#verified(group))) {
      for (const { file, underWay } of group) {
        if (underWay) {
          await this.#underWay(file);
          continue;
        }
        const key = this.#batchKey(file);
        const batch = held.get(key) ?? [];
        held.set(key, batch);
        batch.push(file);
        if (batch.length < this.#size.limit) continue;
        held.delete(key);
        yield batch;
      }
      this.#progress();
    }
    this.tally.selectionDone();
    yield* held.values();
  }

  /** Asked for by somebody, or by an earlier run: nothing to send, but to wait for. */
  async #underWay(file: RequestFile): Promise<void> {
    if (this.#watch === undefined) {
      this.#end(file, 'unneeded', { code: 'UNDER_WAY', text: 'asked for already: it is waiting or running' });
      return;
    }
    await this.#room(1);
    this.#askedFor(file);
  }

  /** The archive id of the request that a file can be in; cancels go to one archive's agents at a time, too. */
  #batchKey(file: RequestFile): number {
    return this.#options.verb === 'archive' ? (this.#archiveFor(file) ?? 0) : file.hsm.archive;
  }

  #archiveFor(file: RequestFile): number | undefined {
    const { archive, forceArchive } = this.#options;
    return forceArchive || file.hsm.archive === 0 ? archive : file.hsm.archive;
  }

  async *#given(): AsyncGenerator<Buffer, void, undefined> {
    for await (const path of this.#options.paths) {
      this.tally.given();
      yield path;
    }
  }

  async *#choose(): AsyncGenerator<Ready[], void, undefined> {
    const { files, mount, recursive, signal } = this.#options;
    const paths = this.#given();
    const filters = compileFilters(this.#options.filters, Date.now());
    const selection = choose({ files, mount, paths, recursive, filters, ...(signal === undefined ? {} : { signal }) });
    for await (const group of selection) yield group.flatMap((chosen) => this.#sort(chosen));
  }

  #sort(chosen: Chosen): Ready[] {
    if ('passedOver' in chosen) {
      if (chosen.passedOver === 'filtered') this.tally.filtered();
      return [];
    }
    if ('problem' in chosen) {
      this.#options.onEvent({ type: 'problem', problem: this.tally.badPath(chosen.problem) });
      return [];
    }
    const { file } = chosen;
    this.tally.selected(file);
    const judgement = judge(this.#options.verb, file, this.#archiveFor(file));
    if (judgement.verdict === 'ask' || judgement.verdict === 'under_way') {
      return [{ file, underWay: judgement.verdict === 'under_way' }];
    }
    this.#end(file, judgement.verdict, judgement.why);
    return [];
  }

  /** Those whose copy was seen to be theirs, where that is asked for. */
  async #verified(group: readonly Ready[]): Promise<Ready[]> {
    const { verifier, verb } = this.#options;
    if (verifier === undefined || verb !== 'release') return [...group];
    const good = new Set<Ready>();
    await forEachBounded(
      group,
      async (ready) => {
        const verdict = await verifier.verify(ready.file);
        if (verdict.ok) good.add(ready);
        else
          this.#end(ready.file, 'refused', {
            code: 'COPY_UNVERIFIED',
            text: `its copy could not be verified: ${verdict.reason}`,
          });
      },
      { concurrency: VERIFY_AT_ONCE, signal: this.#options.signal },
    );
    return group.filter((ready) => good.has(ready));
  }

  async #ask(batch: readonly RequestFile[]): Promise<void> {
    if (this.#options.dryRun) {
      for (const file of batch) {
        this.#options.onEvent({ type: 'would_ask', file });
        this.#end(file, 'would_ask');
      }
      return;
    }
    await this.#room(batch.length);
    await this.#pace?.take(batch.length, this.#options.signal);
    await askFor(batch, {
      send: (files) => this.#send(files),
      lookAgain: (files) => this.#lookAgain(files),
      answer: (file, answer) => this.#answer(file, answer),
      stopped: () => this.#options.signal?.aborted === true,
      size: this.#size,
    });
    this.#progress();
  }

  /** Waits until so many more may be asked for. */
  async #room(count: number): Promise<void> {
    await this.#places?.take(count, this.#options.signal);
    await this.#watch?.room();
  }

  async #send(files: readonly RequestFile[]): Promise<void> {
    const { verb, mount, data, lfs } = this.#options;
    const first = files[0];
    const archive = verb === 'archive' && first !== undefined ? this.#archiveFor(first) : undefined;
    const request = { action: verb, fids: files.map((file) => file.fid), mount, archive, data, lfs };
    await this.#options.send(request).catch((error: unknown) => {
      throw files.length === 1 && isForbidden(error, verb) ? forbidden(verb) : error;
    });
  }

  async #lookAgain(files: readonly RequestFile[]): Promise<SecondLook[]> {
    const { verb } = this.#options;
    const looks = await this.#states(files.map((file) => file.fid));
    return files.map((file, index) => secondLookOf(verb, file, looks[index], this.#archiveFor(file)));
  }

  #states(fids: readonly Fid[]): Promise<(States | ErrnoError)[]> {
    return statesOf(this.#options.files, fids);
  }

  /** The helper keeps a file system alive that was unmounted meanwhile: nobody serves it from here any more. */
  async #checkMount(): Promise<void> {
    const { mount } = this.#options;
    const stat = await lstat(mount, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
      // Servers that are away for a while are no reason to stop; the files' own grace ends that.
      if (error.code !== 'ENOENT') return undefined;
      throw mountGone(mount);
    });
    if (stat === undefined) return;
    this.#device ??= stat.dev;
    if (stat.dev !== this.#device) throw mountGone(mount);
  }

  #answer(file: RequestFile, answer: Answer): void {
    if (answer.is === 'asked') {
      this.#askedFor(file);
      return;
    }
    this.#places?.give();
    this.#end(file, answer.is, 'why' in answer ? answer.why : undefined);
  }

  #askedFor(file: RequestFile): void {
    this.tally.asked(file);
    if (isImmediate(this.#options.verb)) this.#end(file, 'done');
    else if (this.#watch !== undefined) this.#watch.add(file);
    else this.#end(file, 'asked');
  }

  #end(file: RequestFile, outcome: Outcome, why?: Why): void {
    const problem = this.tally.ended(file, outcome, why);
    if (problem !== undefined) this.#options.onEvent({ type: 'problem', problem });
  }

  #progress(): void {
    this.#options.onEvent({ type: 'progress', progress: this.tally.progress() });
  }
}

/** Lustre lets others than root restore at most; one refusal says it for all. */
function isForbidden(error: unknown, verb: Verb): boolean {
  return error instanceof ErrnoError && error.errno === ERRNO.EPERM && verb !== 'restore' && process.geteuid?.() !== 0;
}

function forbidden(verb: Verb): OperatorError {
  return new OperatorError(`Lustre does not let this user ask for ${verb}.`, {
    code: 'NOT_PERMITTED',
    hint: 'Run it as root.',
    exit: 'notAuthorised',
  });
}

function mountGone(mount: string): OperatorError {
  return new OperatorError(`${mount} was unmounted while files were waited for.`, {
    code: 'MOUNT_GONE',
    hint: 'Mount it again; what was asked for goes on in Lustre, and the same command waits for it again.',
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
