import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { ProgramLog } from './program-log.ts';
import { helperPath, needBuilt } from './project.ts';
import { within } from './wait.ts';

export interface HelperReply {
  readonly t: 'reply';
  readonly n: number;
  /** 0 or a negative errno. */
  readonly rc: number;
  readonly error?: string;
  readonly [field: string]: unknown;
}

export type HelperEvent = { readonly t: string; readonly [field: string]: unknown };

const REPLY_TIMEOUT = 120_000;

/**
 * The native helper spoken to by its own protocol (docs/internals/helper-protocol.md), without the product's client:
 * what the contract suite sees must not depend on the code that it is to hold.
 */
export class HelperClient {
  readonly events: HelperEvent[] = [];
  readonly diagnostics = new ProgramLog();
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #waiting = new Map<number, (reply: HelperReply) => void>();
  readonly #ended: Promise<number | null>;
  #last = 0;
  readonly #wakers = new Set<() => void>();
  #gone = false;

  constructor(mode: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    needBuilt(helperPath, 'run npm run setup');
    const child = spawn(helperPath, [mode, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    this.#input = child.stdin;
    child.stdin.on('error', () => undefined);
    this.diagnostics.follow(child.stderr);
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(JSON.parse(line) as HelperEvent);
    });
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        this.#gone = true;
        this.#wake();
        resolve(code);
      });
    });
    this.#ended.catch(() => undefined);
  }

  #take(line: HelperEvent): void {
    if (line.t === 'reply') {
      const reply = line as HelperReply;
      this.#waiting.get(reply.n)?.(reply);
      this.#waiting.delete(reply.n);
    } else {
      this.events.push(line);
      this.#wake();
    }
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }

  /** Takes the next event of this kind (and for which `test` holds) out of the queue; waits for it. */
  async next(
    t: string | readonly string[],
    test: (event: HelperEvent) => boolean = () => true,
    timeout = REPLY_TIMEOUT,
  ): Promise<HelperEvent> {
    const end = Date.now() + timeout;
    for (;;) {
      const index = this.events.findIndex((event) => [t].flat().includes(event.t) && test(event));
      const [event] = index < 0 ? [] : this.events.splice(index, 1);
      if (event !== undefined) return event;
      const left = end - Date.now();
      if (left <= 0 || this.#gone) {
        throw new Error(
          `the helper ${this.#gone ? 'ended' : 'kept silent'} instead of sending ${[t].flat().join(' or ')}: ${JSON.stringify(this.events)} ${this.diagnostics.text()}`,
        );
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#wakers.add(wake);
      });
    }
  }

  /** The first line: what the helper found, or why it does not start (`t` is then 'fatal'). */
  async hello(): Promise<HelperEvent> {
    return await this.next(['hello', 'fatal']);
  }

  /** Asks, and gives the reply whatever its rc. */
  ask(op: string, fields: object = {}): Promise<HelperReply> {
    const n = ++this.#last;
    const reply = new Promise<HelperReply>((resolve) => this.#waiting.set(n, resolve));
    this.#input.write(`${JSON.stringify({ n, op, ...fields })}\n`);
    const gone = this.#ended.then(() => {
      throw new Error(`the helper ended before it replied to ${op}: ${this.diagnostics.text()}`);
    });
    return within(`the helper replies to ${op}`, REPLY_TIMEOUT, Promise.race([reply, gone]));
  }

  /** Sends a line as it is. */
  send(line: string): void {
    this.#input.write(line);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ended(timeout = 30_000): Promise<number | null> {
    return within('the helper ends', timeout, this.#ended);
  }

  /** Kills it, as a crash does: nothing is told to the coordinator. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  /** Ends its standard input, and waits for it to leave. */
  async close(): Promise<number | null> {
    this.#input.end();
    try {
      return await this.ended();
    } catch {
      this.#child.kill('SIGKILL');
      return await this.ended();
    }
  }
}
