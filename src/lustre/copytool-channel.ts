import type { Fid } from '../identity/fid.ts';
import type { ErrnoError } from '../service/errors.ts';
import { LustreFiles } from './attributes.ts';
import { type HelperOptions, HelperProcess } from './helper.ts';
import { type ActionName, actionOf, fidOf, fieldsOfAction, type HsmAction } from './hsm-action.ts';

export type { ActionName, HsmAction } from './hsm-action.ts';

/** A change of the registration itself. */
export type ChannelState =
  | { readonly state: 'registered'; readonly archives: readonly number[] }
  | { readonly state: 'unregistered'; readonly errno: number };

export interface ChannelOptions extends Omit<HelperOptions, 'mode' | 'args'> {
  /** Archive ids to serve; empty: all. */
  readonly archives: readonly number[];
  /** Locked exclusively before registering: one copytool per client. */
  readonly lockFile?: string | undefined;
  /**
   * Every action is journaled before anything is asked about it: when this process dies, the helper leaves them to be
   * adopted instead of ending them. Those it was not asked about it writes into this file, each as its event.
   */
  readonly keepFile?: string;
  /** Milliseconds after which an idle helper registers anew, in case Lustre has forgotten it; never by default. */
  readonly renewAfter?: number;
  /** The coordinator was shut down (the helper registers again by itself), or took us back. */
  readonly onState?: (state: ChannelState) => void;
}

export interface BeginOptions {
  /** MDT for a restore's volatile; -1: the file's own. */
  readonly mdt?: number;
  readonly openFlags?: number;
  /** Of a restore: the released file's layout (the default), or the one that its directory gives to new files. */
  readonly layout?: 'keep' | 'default';
  /** Begin only in order to end with an error. */
  readonly isError?: boolean;
}

export interface Begun {
  /** Where to read (archive: the file) or write (restore: the volatile). */
  readonly dfid: Fid;
  /** Of an archive: the data version taken at the beginning. */
  readonly dataVersion?: bigint;
  /** Of a restore: why the volatile has the directory's default layout instead of the file's own (positive errno). */
  readonly layoutErrno?: number;
}

/** How an action ended. */
export interface Ending {
  readonly offset: bigint;
  readonly length: bigint;
  /** Positive errno; 0: done. */
  readonly errval: number;
  /** Ask the coordinator to send it again. */
  readonly retry?: boolean;
}

/**
 * A registered copytool: the kernel's channel of HSM actions. Every action that comes out of `actions` must be ended
 * once (a CANCEL never is: it names the cookie of the action to stop, which is ended with ECANCELED).
 */
export class CopytoolChannel {
  readonly files: LustreFiles;
  readonly #options: ChannelOptions;
  #helper: HelperProcess;
  readonly #losses = new WeakSet<Error>();
  #closed = false;

  private constructor(helper: HelperProcess, options: ChannelOptions) {
    this.#helper = helper;
    this.#options = options;
    this.files = new LustreFiles({ request: (op, fields) => this.#helper.request(op, fields) });
  }

  /** Registers. Rejects with an OperatorError: not Lustre, not root, locked by another copytool, refused. */
  static async open(options: ChannelOptions): Promise<CopytoolChannel> {
    return new CopytoolChannel(await startHelper(options), options);
  }

  /**
   * Starts another helper in the place of one that is gone, and registers again. Nothing is open in it: what was must
   * be adopted. `actions` is to be read anew. Rejects as `open` does.
   */
  async reopen(): Promise<void> {
    if (this.#helper.lost !== undefined) this.#losses.add(this.#helper.lost);
    const helper = await startHelper(this.#options);
    this.#helper = helper;
    if (this.#closed) await helper.close();
  }

  /** Whether a rejection of anything here means that the helper was lost, so that nothing is known of the outcome. */
  isLoss(error: unknown): boolean {
    return error instanceof Error && (error === this.#helper.lost || this.#losses.has(error));
  }

  /** The helper itself: its hello, its pid, when it left. */
  get helper(): HelperProcess {
    return this.#helper;
  }

  /**
   * Actions as they come, for one reader; ends after `close`, rejects when the helper is gone. The buffer is bounded
   * by the coordinator's own limit (`max_requests`).
   */
  get actions(): AsyncIterable<HsmAction> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<HsmAction, void, undefined> {
    for await (const event of this.#helper.events) {
      if (event.t === 'action') yield actionOf(event);
      else if (event.t === 'registered')
        this.#options.onState?.({ state: 'registered', archives: event['archives'] as number[] });
      else if (event.t === 'unregistered')
        this.#options.onState?.({ state: 'unregistered', errno: -(event['rc'] as number) });
      else if (event.t === 'error') this.#options.onDiagnostic?.(String(event['message']));
    }
  }

  /** Begins an action. */
  async begin(action: ActionName, options: BeginOptions = {}): Promise<Begun> {
    const { mdt = -1, openFlags = 0, isError = false, layout = 'keep' } = options;
    const fields = { ...nameFields(action), mdt, open_flags: openFlags, is_error: isError, layout };
    return begunOf(await this.#helper.request<RawBegun>('begin', fields));
  }

  /**
   * Takes up an action of an earlier process, from the journal: rebuilt here, and reported to the coordinator as alive.
   * From then on it is as one that came out of `actions`. Rejects with an ErrnoError: ENOENT, the coordinator does not
   * know it; EEXIST, it is open here, having been sent again; EAGAIN, the coordinator can't be asked now. After any
   * other the action is open, and must be ended with an error.
   */
  async adopt(action: HsmAction): Promise<void> {
    await this.#helper.request('adopt', { ...fieldsOfAction(action), begin: false });
  }

  /**
   * Reports what was copied since the last report, and keeps the action alive. Rejects with an ErrnoError: ECANCELED
   * once cancelled, ENOENT when the coordinator no longer knows the action.
   */
  async progress(action: ActionName, offset: bigint, length: bigint): Promise<void> {
    await this.#helper.request('progress', {
      ...nameFields(action),
      offset: offset.toString(),
      length: length.toString(),
    });
  }

  /** Ends an action, begun or not. Rejects with EBUSY when the data changed since an archive began. */
  async end(action: ActionName, ending: Ending): Promise<void> {
    await this.#helper.request('end', {
      ...nameFields(action),
      offset: ending.offset.toString(),
      length: ending.length.toString(),
      errval: ending.errval,
      retry: ending.retry ?? false,
    });
  }

  /** Registers anew soon: there is reason to believe that Lustre has forgotten this copytool. */
  async renew(): Promise<void> {
    await this.#helper.request('renew', {});
  }

  /** Forgets an action without telling the coordinator, which can then be adopted, or times out. */
  async drop(action: ActionName): Promise<void> {
    await this.#helper.request('drop', nameFields(action));
  }

  /** Leaves, and leaves open actions to be adopted (when there is a `keepFile`). */
  async abandon(): Promise<void> {
    this.#closed = true;
    await this.#helper.close();
  }

  /** Ends open actions with an error (`errval`, EINTR by default), unregisters and leaves. */
  async close(errval?: number): Promise<void> {
    this.#closed = true;
    // The reply may be lost to the helper's own end: what counts is that it leaves.
    await this.#helper.request('quit', errval === undefined ? {} : { errval }).catch((_: ErrnoError | Error) => {});
    await this.#helper.close();
  }
}

async function startHelper(options: ChannelOptions): Promise<HelperProcess> {
  const { archives, lockFile, keepFile, renewAfter, onState: _, ...rest } = options;
  const args = archives.flatMap((id) => ['--archive', String(id)]);
  if (lockFile !== undefined) args.push('--lock', lockFile);
  if (keepFile !== undefined) args.push('--keep', keepFile);
  if (renewAfter !== undefined) args.push('--renew', String(renewAfter));
  return await HelperProcess.start({ ...rest, mode: 'copytool', args });
}

function nameFields(action: ActionName): object {
  if (typeof action === 'bigint') return { cookie: action.toString() };
  return { cookie: action.cookie.toString(), fid: action.fid };
}

interface RawBegun {
  readonly dfid: string;
  readonly dv?: string;
  readonly layout_rc?: number;
}

function begunOf(raw: RawBegun): Begun {
  return {
    dfid: fidOf(raw.dfid),
    ...(raw.dv === undefined ? {} : { dataVersion: BigInt(raw.dv) }),
    ...(raw.layout_rc === undefined || raw.layout_rc >= 0 ? {} : { layoutErrno: -raw.layout_rc }),
  };
}
