import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startSandbox } from '../support/sandbox.ts';
import { makeFiles } from './workload.ts';

export interface CopytoolCost {
  readonly action: 'archive' | 'restore';
  readonly files: number;
  /** Milliseconds of CPU per file, user and system. */
  readonly copytool: number;
  readonly helper: number;
  /** Per second, with a stand-in and an Azurite that are slower than what is measured. */
  readonly rate: number;
  /** Megabytes resident at most. */
  readonly memory: number;
}

/** The kernel's clock ticks, in milliseconds. */
const TICK = 10;

/**
 * What whole actions cost, from the coordinator's message to its end: the copytool and its helper on the stand-in, in front
 * of Azurite. Only the CPU of both programs means something: stand-in and Azurite are no servers.
 */
export async function benchCopytool(files: number, fileSize: number): Promise<CopytoolCost[]> {
  const sandbox = await startSandbox({ config: { log: { level: 'info' } } });
  try {
    await sandbox.serverLctl(['set_param', `mdt.*.hsm.max_requests=256`]);
    await makeFiles(join(sandbox.tree, 'data'), { name: 'small', count: files, size: fileSize });
    const copytool = await sandbox.startCopytool();
    const costs: CopytoolCost[] = [];
    for (const action of ['archive', 'restore'] as const) {
      if (action === 'restore') await expectDone(sandbox.run(['release', '--recursive', join(sandbox.tree, 'data')]));
      const before = await used(copytool.pid);
      const start = performance.now();
      await expectDone(
        sandbox.run([action, '--recursive', '--wait', join(sandbox.tree, 'data')], { timeout: 900_000 }),
      );
      const seconds = (performance.now() - start) / 1000;
      const after = await used(copytool.pid);
      costs.push({
        action,
        files,
        copytool: (after.own - before.own) / files,
        helper: (after.children - before.children) / files,
        rate: files / seconds,
        memory: after.memory,
      });
    }
    return costs;
  } finally {
    await sandbox.stop();
  }
}

/** A table in Markdown. */
export function reportOfCopytool(costs: readonly CopytoolCost[]): string {
  const lines = costs.map(
    ({ action, files, copytool, helper, rate, memory }) =>
      `| ${action} ${files} files | ${copytool.toFixed(2)} ms | ${helper.toFixed(2)} ms | ${rate.toFixed(0)}/s | ${memory.toFixed(0)} MB |`,
  );
  return [
    '| whole actions | copytool’s CPU per file | helpers’ CPU per file | rate | memory |',
    '|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}

export async function writeCosts(path: string, costs: readonly CopytoolCost[]): Promise<void> {
  await writeFile(path, `${JSON.stringify(costs, null, 2)}\n`);
}

async function expectDone(running: Promise<{ exitCode: number | null; stderr: string }>): Promise<void> {
  const { exitCode, stderr } = await running;
  if (exitCode !== 0) throw new Error(`a command failed (${exitCode}): ${stderr}`);
}

/** CPU of a process and of its living children, milliseconds. */
async function used(pid: number): Promise<{ own: number; children: number; memory: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  let children = 0;
  for (const child of await childrenOf(pid)) children += await cpuOf(child);
  return {
    own: await cpuOf(pid),
    children,
    memory: (Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024) / 1e6,
  };
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  );
  return lists.flatMap((list) => list.trim().split(' ').filter(Boolean).map(Number));
}

async function cpuOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK;
}
