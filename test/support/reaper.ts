import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { SandboxDirectory } from './sandbox-directory.ts';

/**
 * A process of its own that takes sandboxes down when the one that brought them up is gone without having done so:
 * crashed, killed, or ended by the test runner. It learns that from the end of its standard input, which no kind of
 * death can keep from coming.
 */
let reaper: { process: ChildProcess; input: Writable } | undefined;

function start(): { process: ChildProcess; input: Writable } {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  child.on('exit', () => {
    reaper = undefined;
  });
  // The pipe must not keep a finished test run alive.
  const input = child.stdin as Writable & { unref?: () => void };
  input.unref?.();
  input.on('error', () => undefined);
  return { process: child, input };
}

/** From now on, `dir` is taken down when this process ends. */
export function guard(dir: string): void {
  reaper ??= start();
  reaper.input.write(`+${dir}\n`);
}

/** `dir` has been taken down, or is to stay. */
export function unguard(dir: string): void {
  reaper?.input.write(`-${dir}\n`);
}

async function reap(): Promise<void> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
  const guarded = new Set<string>();
  let rest = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('+')) guarded.add(line.slice(1));
      else guarded.delete(line.slice(1));
    }
  }
  await Promise.allSettled([...guarded].map((dir) => new SandboxDirectory(dir).destroy()));
}

if (import.meta.main) await reap();
