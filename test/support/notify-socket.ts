import { type ChildProcess, spawn } from 'node:child_process';
import { type LogLine, ProgramLog } from './program-log.ts';
import { seamTool } from './seam-tool.ts';

/** What systemd is to a service: a socket that its datagrams go to. */
export class NotifySocket {
  readonly #child: ChildProcess;
  readonly #log: ProgramLog;

  private constructor(child: ChildProcess, log: ProgramLog) {
    this.#child = child;
    this.#log = log;
  }

  /** @param name a path, or an abstract name after an '@' */
  static async listen(name: string): Promise<NotifySocket> {
    const child = spawn(await seamTool(), ['datagrams', name, '1000000'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const log = new ProgramLog();
    log.follow(child.stdout);
    const socket = new NotifySocket(child, log);
    await log.waitFor(/^listening$/);
    return socket;
  }

  /** The next datagram that is so, fields separated by '|'; waited for. @param after datagrams that are passed over */
  async waitFor(match: RegExp, after = 0): Promise<LogLine> {
    return await this.#log.waitFor(match, { after: after + 1 });
  }

  /** All that have come. */
  get messages(): readonly string[] {
    return this.#log.lines.slice(1).map(({ text }) => text);
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
