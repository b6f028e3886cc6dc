import { spawn } from 'node:child_process';

/** What a whole process, with the children it waited for, has cost. */
export interface ProcessCost {
  /** Seconds. */
  readonly wall: number;
  /** Seconds of CPU, user and system. */
  readonly user: number;
  readonly system: number;
  /** Megabytes (10^6), the most that it had resident. */
  readonly memory: number;
}

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** More of what it says when it fails. */
  readonly log?: () => Promise<string>;
}

const SAMPLE_MS = 200;

/**
 * Runs a program and measures it: the kernel's own account of a process that has ended (wait4), as bash's `time` tells
 * it. Rejects with the program's output when it fails.
 */
export async function measure({ file, args, env, log }: Program): Promise<ProcessCost> {
  const script = 'TIMEFORMAT="cost %R %U %S"; time "$0" "$@"';
  const child = spawn('bash', ['-c', script, file, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', LC_ALL: 'C', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const add = (data: Buffer) => {
    output += data.toString('utf8');
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  let memory = 0;
  const timer = setInterval(async () => {
    memory = Math.max(memory, await residentOfChildren(child.pid ?? 0));
  }, SAMPLE_MS);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearInterval(timer);
  const cost = /^cost (\S+) (\S+) (\S+)$/m.exec(output);
  if (status !== 0 || cost === null) {
    const more = (await log?.()) ?? '';
    throw new Error(`${file} ${args.join(' ')} failed (${status}):\n${output.slice(-4000)}\n${more.slice(-4000)}`);
  }
  const [wall, user, system] = cost.slice(1).map(Number) as [number, number, number];
  return { wall, user, system, memory };
}

/** Megabytes of the program below bash. */
async function residentOfChildren(pid: number): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  let sum = 0;
  for (const child of children.trim().split(' ').filter(Boolean)) {
    const status = await readFile(`/proc/${child}/status`, 'utf8').catch(() => '');
    sum += Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return sum / 1e6;
}
