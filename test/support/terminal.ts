import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { waitUntil } from './wait.ts';

/** A real terminal: tmux, with a server of its own. */
export class Terminal {
  readonly #server = `lfsazsync-${process.pid}-${randomBytes(4).toString('hex')}`;

  constructor(size: { columns: number; rows: number }, env: Readonly<Record<string, string | undefined>>) {
    const { columns, rows } = size;
    // Nobody sits at a CI system's: it would be shown no colours.
    const { CI: _, CONTINUOUS_INTEGRATION: _2, ...own } = env;
    // The server has the environment of the client that starts it. tmux's own messages are too short for a large one.
    execFileSync(
      'tmux',
      ['-L', this.#server, '-f', '/dev/null', 'new-session', '-d', '-x', String(columns), '-y', String(rows), 'sh'],
      { env: { ...own, TERM: 'xterm-256color', LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' } },
    );
  }

  /** Sends text, or keys by tmux's names (`Enter`, `Down`, `C-c`). */
  send(...keys: string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  resize({ columns, rows }: { columns: number; rows: number }): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** What is to be seen. @param colours with the escape sequences */
  screen(colours = false): string {
    return this.#tmux('capture-pane', '-p', ...(colours ? ['-e'] : []));
  }

  /** A value of tmux's own, such as `#{cursor_flag}`. */
  value(format: string): string {
    return this.#tmux('display-message', '-p', format).trim();
  }

  async sees(...texts: (string | RegExp)[]): Promise<void> {
    await waitUntil(
      `the terminal shows ${texts.join(', ')}`,
      () => {
        const screen = this.screen();
        return texts.every((text) => (typeof text === 'string' ? screen.includes(text) : text.test(screen)));
      },
      { detail: () => this.screen() },
    );
  }

  close(): void {
    this.#tmux('kill-server');
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-L', this.#server, ...args], { encoding: 'utf8' });
  }
}
