import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';

const PROGRAM = `
import { EXIT } from ${JSON.stringify(new URL('./exit-code.ts', import.meta.url).href)};
import { takeSignals } from ${JSON.stringify(new URL('./shutdown.ts', import.meta.url).href)};
const shutdown = takeSignals((exit) => EXIT[exit].code);
const hold = setInterval(() => {}, 1000);
shutdown.drain.addEventListener('abort', () => {
  console.log('drain ' + shutdown.drain.reason.code + ' ' + shutdown.now.aborted);
  if (process.argv[1] === 'drains') { clearInterval(hold); process.exitCode = EXIT[shutdown.exit()].code; }
});
shutdown.now.addEventListener('abort', () => {
  console.log('now');
  if (process.argv[1] === 'obeys') { clearInterval(hold); process.exitCode = EXIT[shutdown.exit()].code; }
});
console.log('ready');
`;

/** Starts the program, sends one signal after each of its lines, gives the lines and how it ended. */
async function play(mode: string, signals: readonly NodeJS.Signals[]) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const lines: string[] = [];
  const left = [...signals];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    const signal = left.shift();
    if (signal !== undefined) child.kill(signal);
  }
  const [code] = await ended;
  return { lines, code };
}

describe('a process told to stop', () => {
  it('drains at the first SIGTERM and ends with 143', async () => {
    expect(await play('drains', ['SIGTERM'])).toEqual({ lines: ['ready', 'drain SIGTERM false'], code: 143 });
  });

  it('drains at the first SIGINT and ends with 130', async () => {
    expect(await play('drains', ['SIGINT'])).toEqual({ lines: ['ready', 'drain SIGINT false'], code: 130 });
  });

  it('stops at once at the second signal; the first one counts', async () => {
    expect(await play('obeys', ['SIGTERM', 'SIGINT'])).toEqual({
      lines: ['ready', 'drain SIGTERM false', 'now'],
      code: 143,
    });
  });

  it('is ended by the third when it does not obey', async () => {
    expect(await play('hangs', ['SIGINT', 'SIGINT', 'SIGINT'])).toEqual({
      lines: ['ready', 'drain SIGINT false', 'now'],
      code: 130,
    });
  });
});
