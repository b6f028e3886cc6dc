import { type Fid, parseFid } from '../identity/fid.ts';
import { BugError, type ErrnoError } from '../service/errors.ts';
import { LustreFiles } from './attributes.ts';
import { type HelperEvent, type HelperOptions, HelperProcess } from './helper.ts';

/** An action of the coordinator's, as it is journaled, too. */
export interface HsmAction {
  readonly action: 'ARCHIVE' | 'RESTORE' | 'REMOVE' | 'CANCEL';
  readonly fid: Fid;
  /** The coordinator's data FID; the file's own until a restore has begun. */
  readonly dfid: Fid;
  /** 64 bits; the coordinator's name for the action. */
  readonly cookie: bigint;
  readonly archive: number;
  readonly flags: number;
  readonly offset: bigint;
  /** Bytes; 2^64 - 1: to the end of the file. */
  readonly length: bigint;
  readonly gid: bigint;
  /** The request's opaque data (`lfs hsm_archive --data`). */
  readonly data: Buffer;
}

/** Which action: cookies are unique on one metadata server; where there are several, the FID must be said as well. */
export type ActionName = bigint | Pick<HsmAction, 'cookie' | 'fid'>;

/** A change of the registration itself. */
export type ChannelState =
  | { readonly state: 'registered'; readonly archives: readonly number[] }
  | { readonly state: 'unregistered'; readonly errno: number };

export interface ChannelOptions extends Omit<HelperOptions, 'mode' | 'args'> {
  /** Archive ids to serve; empty: all. */
  readonly archives: readonly number[];
  /** Locked exclusively before registering: one copytool per client. */
  readonly lockFile?: string | undefined;
  /** The coordinator was shut down (the helper registers again by itself), or took us back. */
  readonly onState?: (state: ChannelState) => void;
}

export interface BeginOptions {
  /** MDT for a restore's volatile; -1: the file's own. */
  readonly mdt?: number;
  readonly openFlags?: number;
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
  readonly #helper: HelperProcess;
  readonly #onState: (state: ChannelState) => void;
  readonly #onTrouble: (line: string) => void;

  private constructor(helper: HelperProcess, options: Pick<ChannelOptions, 'onState' | 'onDiagnostic'>) {
    this.#helper = helper;
    this.#onState = options.onState ?? (() => {});
    this.#onTrouble = options.onDiagnostic ?? (() => {});
    this.files = new LustreFiles(helper);
  }

  /** Registers. Rejects with an OperatorError: not Lustre, not root, locked by another copytool, refused. */
  static async open(options: ChannelOptions): Promise<CopytoolChannel> {
    const { archives, lockFile, onState: _, ...rest } = options;
    const args = archives.flatMap((id) => ['--archive', String(id)]);
    if (lockFile !== undefined) args.push('--lock', lockFile);
    const helper = await HelperProcess.start({ ...rest, mode: 'copytool', args });
    return new CopytoolChannel(helper, options);
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
        this.#onState({ state: 'registered', archives: event['archives'] as number[] });
      else if (event.t === 'unregistered') this.#onState({ state: 'unregistered', errno: -(event['rc'] as number) });
      else if (event.t === 'error') this.#onTrouble(String(event['message']));
    }
  }

  /** Begins an action. */
  async begin(action: ActionName, options: BeginOptions = {}): Promise<Begun> {
    const { mdt = -1, openFlags = 0, isError = false } = options;
    const fields = { ...nameFields(action), mdt, open_flags: openFlags, is_error: isError };
    return begunOf(await this.#helper.request<RawBegun>('begin', fields));
  }

  /** Takes up an action of an earlier process, from the journal: rebuilt, then begun. ENOENT: no longer known. */
  async adopt(action: HsmAction, options: BeginOptions = {}): Promise<Begun> {
    const { mdt = -1, openFlags = 0 } = options;
    const fields = { ...fieldsOfAction(action), mdt, open_flags: openFlags };
    return begunOf(await this.#helper.request<RawBegun>('adopt', fields));
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

  /** Forgets an action without telling the coordinator, which can then be adopted, or times out. */
  async drop(action: ActionName): Promise<void> {
    await this.#helper.request('drop', nameFields(action));
  }

  /** Ends open actions with an error (`errval`, EINTR by default), unregisters and leaves. */
  async close(errval?: number): Promise<void> {
    // The reply may be lost to the helper's own end: what counts is that it leaves.
    await this.#helper.request('quit', errval === undefined ? {} : { errval }).catch((_: ErrnoError | Error) => {});
    await this.#helper.close();
  }
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

function actionOf(event: HelperEvent): HsmAction {
  const text = (name: string) => String(event[name] ?? '0');
  return {
    action: event['action'] as HsmAction['action'],
    fid: fidOf(text('fid')),
    dfid: fidOf(text('dfid')),
    cookie: BigInt(text('cookie')),
    archive: Number(event['archive'] ?? 0),
    flags: Number(event['flags'] ?? 0),
    offset: BigInt(text('offset')),
    length: BigInt(text('length')),
    gid: BigInt(text('gid')),
    data: Buffer.from(String(event['data_b64'] ?? ''), 'base64'),
  };
}

/** An action in the protocol's own fields. */
function fieldsOfAction(action: HsmAction): object {
  const { action: name, fid, dfid, archive, flags } = action;
  return {
    action: name,
    fid,
    dfid,
    cookie: action.cookie.toString(),
    archive,
    flags,
    offset: action.offset.toString(),
    length: action.length.toString(),
    gid: action.gid.toString(),
    data_b64: action.data.toString('base64'),
  };
}

function fidOf(text: string): Fid {
  const fid = parseFid(text);
  if (fid === undefined) throw new BugError(`the helper sent a FID that is not one: ${text}`);
  return fid;
}
