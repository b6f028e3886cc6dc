import { execa } from 'execa';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { errnoText } from './errno.ts';
import { EventQueue } from './event-queue.ts';
import { findHelper } from './helper-binary.ts';
import { type FatalLine, fatalError } from './helper-fatal.ts';
import { LineSplitter } from './line-splitter.ts';

/** The protocol of docs/internals/helper-protocol.md that this client speaks. */
const PROTOCOL = 1;
/** The protocol promises lines of at most 1 MiB; what is longer is not the helper speaking. */
const LINE_LIMIT = 8 * 1024 * 1024;
const DIAGNOSTIC_LIMIT = 64 * 1024;
/** EINVAL, EMSGSIZE: a request of ours was none. Other errors tell of the coordinator's messages, and nothing is lost. */
const OUR_FAULT: readonly number[] = [-22, -90];
const DIAGNOSTICS_KEPT = 10;

export interface HelperOptions {
  readonly mode: 'attrs' | 'copytool' | 'changelog' | 'scan' | 'import';
  /** The Lustre mount point. */
  readonly mount: string;
  readonly liblustreapi?: string | undefined;
  /** The helper's executable, when not the package's own. */
  readonly helper?: string | undefined;
  readonly threads?: number | undefined;
  /** The mode's own options. */
  readonly args?: readonly string[];
  /** A line that the helper wrote to standard error, for the service log. */
  readonly onDiagnostic?: (line: string) => void;
  /** Events held for a slow reader before reading from the helper stops; 1,024 by default. */
  readonly eventBuffer?: number;
  /** Milliseconds until the first line must be there; 30,000 by default. */
  readonly startTimeout?: number;
  /** Milliseconds that `close` waits for the helper to end its open items; 30,000 by default. */
  readonly closeTimeout?: number;
}

export interface Hello {
  readonly t: 'hello';
  readonly protocol: number;
  readonly helper: string;
  readonly mode: string;
  readonly llapi: string;
  readonly lib: string;
  readonly mount: string;
  readonly fsname: string;
}

/** An event as the helper sent it; `t` says which. */
export interface HelperEvent {
  readonly t: string;
  readonly [field: string]: unknown;
}

interface Reply {
  readonly t: 'reply';
  readonly n: number;
  readonly rc: number;
  readonly error?: string;
}

interface Outstanding {
  readonly op: string;
  resolve(reply: object): void;
  reject(error: unknown): void;
}

type Child = ReturnType<typeof spawn>;

/**
 * One running `lfsazsync-helper`: requests with their replies in any order, and events.
 *
 * On a terminal the helper runs in a session of its own, so that Ctrl-C reaches only us: it leaves when its standard
 * input ends, at the latest when this process is gone. When it dies, every outstanding request and the events fail
 * with one error that says how, and so does every later request.
 */
export class HelperProcess {
  readonly hello: Hello;
  /** Resolves when the helper has left, however. */
  readonly exited: Promise<void>;
  readonly #child: Child;
  readonly #queue: EventQueue<HelperEvent>;
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #closeTimeout: number;
  #serial = 0;
  #unsaid = '';
  #closing = false;
  #dead: Error | undefined;

  private constructor(child: Child, hello: Hello, options: HelperOptions, frames: Frames, exited: Promise<Error>) {
    this.#child = child;
    this.hello = hello;
    this.#closeTimeout = options.closeTimeout ?? 30_000;
    this.#queue = new EventQueue(options.eventBuffer ?? 1024, () => frames.resume());
    this.exited = exited.then((error) => this.#end(error));
    frames.deliver((line) => this.#receive(line, frames));
  }

  /** Starts the helper and waits for its hello. Rejects with an OperatorError that says why it can't work. */
  static async start(options: HelperOptions): Promise<HelperProcess> {
    const file = await findHelper(options.helper);
    const child = spawn(file, options);
    const diagnostics: string[] = [];
    readDiagnostics(child, (line) => {
      diagnostics.push(line);
      if (diagnostics.length > DIAGNOSTICS_KEPT) diagnostics.shift();
      options.onDiagnostic?.(line);
    });
    const frames = new Frames(child.stdout, () => child.kill('SIGKILL'));
    const exited = child.then((result) => deathError(file, result, frames.broken, diagnostics));
    child.stdin.on('error', () => {}); // a write to a dead helper: told by its exit
    const late = timeout(
      options.startTimeout ?? 30_000,
      () => new Error(`The native helper ${file} said nothing for too long.`),
    );
    const first = await Promise.race([frames.first(), exited, late]);
    late.clear();
    if (first instanceof Error) {
      child.kill('SIGKILL');
      throw new OperatorError(first.message, {
        code: 'HELPER_FAILED',
        hint: `Run \`${file} ${options.mode} --mount ${options.mount}\` by hand to see what it says.`,
        cause: first,
      });
    }
    const hello = first as unknown as Hello | FatalLine;
    if (hello.t === 'fatal') {
      child.stdin.end();
      await exited;
      throw fatalError(hello, options.mount);
    }
    if (hello.t !== 'hello' || hello.protocol !== PROTOCOL) {
      child.kill('SIGKILL');
      throw new OperatorError(`The native helper ${file} speaks protocol ${String(hello.protocol)}, not ${PROTOCOL}.`, {
        code: 'HELPER_UNFIT',
        hint: 'Use the helper that was built with this version of lfsazsync.',
      });
    }
    return new HelperProcess(child, hello, options, frames, exited);
  }

  /** With what everything fails once the helper is gone; undefined as long as it is there. */
  get lost(): Error | undefined {
    return this.#dead;
  }

  /** The process id, for status and for tests that kill it. */
  get pid(): number {
    return this.#child.pid as number;
  }

  /**
   * Events in the order they came, for one reader. When the reader is slow, reading from the helper stops until it
   * catches up, unless replies are awaited (they come on the same pipe).
   */
  get events(): AsyncIterable<HelperEvent> {
    return this.#queue;
  }

  /**
   * Sends a request and waits for its reply. Rejects with an ErrnoError when `rc` is not 0, with an Error when the
   * helper is gone.
   * @param op the operation, as in docs/internals/helper-protocol.md
   * @param fields its fields
   */
  request<T extends object>(op: string, fields: object): Promise<T> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    if (this.#closing) return Promise.reject(new Error('The native helper is being closed.'));
    this.#serial += 1;
    const n = this.#serial;
    return new Promise<T>((resolve, reject) => {
      this.#outstanding.set(n, { op, resolve: (reply) => resolve(reply as T), reject });
      this.#child.stdout.resume();
      this.#say(`${JSON.stringify({ n, op, ...fields })}\n`);
    });
  }

  /**
   * Ends the helper's input, which makes it end open items and leave, and waits for that. What is outstanding still
   * gets its reply. After `closeTimeout` it is killed.
   */
  async close(): Promise<void> {
    this.#closing = true;
    this.#flush();
    this.#child.stdin.end();
    this.#child.stdout.resume();
    const late = timeout(this.#closeTimeout, () => undefined);
    await Promise.race([this.exited, late.then(() => this.#child.kill('SIGKILL'))]);
    late.clear();
    await this.exited;
  }

  /** Requests of one turn of the event loop go out together: each write wakes the helper, at more than the request's own price. */
  #say(line: string): void {
    if (this.#unsaid === '') setImmediate(() => this.#flush());
    this.#unsaid += line;
  }

  #flush(): void {
    const lines = this.#unsaid;
    this.#unsaid = '';
    if (lines !== '') this.#child.stdin.write(lines);
  }

  #receive(line: HelperEvent, frames: Frames): void {
    if (line.t === 'reply') {
      this.#settle(line as unknown as Reply);
    } else if (line.t === 'error' && OUR_FAULT.includes(Number(line['rc']))) {
      frames.break(new Error(`it could not read a request of ours: ${String(line['message'])}`));
      return;
    } else {
      this.#queue.push(line);
    }
    if (this.#queue.full && this.#outstanding.size === 0 && !this.#closing) frames.pause();
  }

  #settle(reply: Reply): void {
    const asker = this.#outstanding.get(reply.n);
    if (asker === undefined) return;
    this.#outstanding.delete(reply.n);
    if (reply.rc === 0) asker.resolve(reply);
    else asker.reject(new ErrnoError(-reply.rc, asker.op, `${reply.error ?? asker.op}: ${errnoText(-reply.rc)}`));
  }

  #end(error: Error): void {
    this.#dead = error;
    for (const asker of this.#outstanding.values()) asker.reject(error);
    this.#outstanding.clear();
    this.#queue.end(this.#closing ? undefined : error);
  }
}

function spawn(file: string, options: HelperOptions) {
  const args: string[] = [options.mode, '--mount', options.mount];
  if (options.liblustreapi !== undefined) args.push('--liblustreapi', options.liblustreapi);
  if (options.threads !== undefined) args.push('--threads', String(options.threads));
  return execa(file, [...args, ...(options.args ?? [])], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    encoding: 'buffer',
    detached: process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY,
    cleanup: false,
  });
}

/** Standard output as JSON lines. A line that is not one breaks the connection. */
class Frames {
  broken: Error | undefined;
  readonly #stdout: Child['stdout'];
  readonly #onBroken: () => void;
  #early: HelperEvent[] = [];
  #sink: ((line: HelperEvent) => void) | undefined;
  #onFirst: ((line: HelperEvent) => void) | undefined;

  constructor(stdout: Child['stdout'], onBroken: () => void) {
    this.#stdout = stdout;
    this.#onBroken = onBroken;
    const splitter = new LineSplitter(LINE_LIMIT);
    stdout.on('data', (chunk: Buffer) => {
      if (this.broken !== undefined) return;
      try {
        for (const line of splitter.push(chunk)) this.#take(parseLine(line));
      } catch (error) {
        this.break(error as Error);
      }
    });
  }

  first(): Promise<HelperEvent> {
    return new Promise((resolve) => {
      this.#onFirst = resolve;
    });
  }

  deliver(sink: (line: HelperEvent) => void): void {
    this.#sink = sink;
    for (const line of this.#early.splice(0)) sink(line);
  }

  break(error: Error): void {
    this.broken ??= error;
    this.#stdout.resume();
    this.#onBroken();
  }

  pause(): void {
    this.#stdout.pause();
  }

  resume(): void {
    this.#stdout.resume();
  }

  #take(line: HelperEvent): void {
    if (this.#onFirst !== undefined) {
      const onFirst = this.#onFirst;
      this.#onFirst = undefined;
      onFirst(line);
    } else if (this.#sink === undefined) {
      this.#early.push(line);
    } else {
      this.#sink(line);
    }
  }
}

function parseLine(line: Buffer): HelperEvent {
  const text = line.toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 't' in value) return value as HelperEvent;
  } catch {
    // told below, with the line
  }
  throw new Error(`it wrote a line that is not of its protocol: ${JSON.stringify(text.slice(0, 200))}`);
}

function readDiagnostics(child: Child, tell: (line: string) => void): void {
  const splitter = new LineSplitter(DIAGNOSTIC_LIMIT);
  child.stderr.on('data', (chunk: Buffer) => {
    try {
      for (const line of splitter.push(chunk)) tell(line.toString('utf8'));
    } catch {
      tell('(a line too long to be shown)');
    }
  });
}

interface Ending {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly message?: string;
}

function deathError(file: string, ending: Ending, broken: Error | undefined, diagnostics: readonly string[]): Error {
  const how =
    broken !== undefined
      ? `was given up: ${broken.message}`
      : ending.signal !== undefined
        ? `was ended by ${ending.signal}`
        : ending.exitCode !== undefined
          ? `left with status ${ending.exitCode}`
          : `could not be started: ${ending.message ?? 'unknown error'}`;
  const said = diagnostics.length === 0 ? '' : ` Its last words: ${diagnostics.slice(-3).join(' | ')}`;
  return new OperatorError(`The native helper ${file} ${how}.${said}`, {
    code: 'HELPER_GONE',
    hint: 'Start the command again; if it happens again, report it with the lines from the log.',
  });
}

function timeout<T>(ms: number, value: () => T): Promise<T> & { clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(value()), ms);
  });
  return Object.assign(promise, { clear: () => clearTimeout(timer) });
}
