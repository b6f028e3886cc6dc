import { formatBytes } from '../../src/service/units.ts';
import type { Cell, DataPathResult } from './data-path.ts';
import type { ProcessCost } from './process-cost.ts';

interface Figures {
  readonly cpu: number;
  readonly rate: number;
  readonly memory: number;
}

/** A table in Markdown: medians over the rounds, and how our figures stand to AzCopy's. */
export function reportOf({ cells, machine, versions }: DataPathResult): string {
  const lines = [
    '| work | tool | CPU | rate | memory | CPU, of AzCopy’s | rate, of AzCopy’s |',
    '|---|---|---|---|---|---|---|',
    ...cells.map((cell) => line(cell, rival(cell, cells))),
    '',
    `${machine['processor']}, ${machine['cores']} cores, Linux ${machine['kernel']}, load ${machine['load']}; ` +
      `Node ${versions['node']}, AzCopy ${versions['azcopy']}, ${versions['nginx']}; ` +
      `medians of ${cells[0]?.rounds.length ?? 0} rounds`,
  ];
  return `${lines.join('\n')}\n`;
}

function line(cell: Cell, other: Cell | undefined): string {
  const { work, workload, scheme, tool } = cell;
  const mine = figures(cell);
  const what = workload.count === 1 ? formatBytes(workload.size) : `${workload.count} × ${formatBytes(workload.size)}`;
  const cpu = workload.count === 1 ? `${mine.cpu.toFixed(2)} s/GB` : `${mine.cpu.toFixed(3)} ms/file`;
  const rate = workload.count === 1 ? `${mine.rate.toFixed(2)} GB/s` : `${mine.rate.toFixed(0)} files/s`;
  const theirs = other === undefined ? undefined : figures(other);
  const ratios = theirs === undefined ? ['', ''] : [ratio(mine.cpu / theirs.cpu), ratio(mine.rate / theirs.rate)];
  return `| ${[`${work} ${what}, ${scheme.toUpperCase()}`, tool, cpu, rate, `${mine.memory.toFixed(0)} MB`, ...ratios].join(' | ')} |`;
}

/** What ours is compared with: AzCopy at its cheapest. */
function rival(cell: Cell, cells: readonly Cell[]): Cell | undefined {
  if (cell.tool !== 'lfsazsync') return undefined;
  return cells.find(
    ({ tool, work, scheme, workload }) =>
      tool === 'azcopy' && work === cell.work && scheme === cell.scheme && workload === cell.workload,
  );
}

function figures({ rounds, workload }: Cell): Figures {
  const of = (value: (cost: ProcessCost) => number) => median(rounds.map(value));
  const cpu = of(({ user, system }) => user + system);
  const wall = of((cost) => cost.wall);
  const gigabytes = (workload.count * workload.size) / 1e9;
  return workload.count === 1
    ? { cpu: cpu / gigabytes, rate: gigabytes / wall, memory: of((cost) => cost.memory) }
    : { cpu: (cpu / workload.count) * 1000, rate: workload.count / wall, memory: of((cost) => cost.memory) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function ratio(value: number): string {
  return value.toFixed(2);
}
