import type { ActionInFlight, CopytoolFigures } from '../copytool/figures.ts';
import { ACTION_KINDS } from '../copytool/stats.ts';
import { formatBytes, formatDuration, formatRate } from '../service/units.ts';
import { renderTable } from './table.ts';

/** The figures of a running copytool for people. */
export function renderStatus(figures: CopytoolFigures): string {
  return [
    head(figures),
    actionTable(figures),
    trafficTable(figures),
    archiveTable(figures),
    troubles(figures),
    inFlight(figures),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function head({
  archives,
  process: { pid, version, uptimeSeconds, memory },
  lustre,
  paused,
  queue,
  restart,
}: CopytoolFigures): string {
  const registered = lustre.registered ? 'registered with Lustre' : 'NOT REGISTERED with Lustre';
  const lines = [
    `copytool ${version} of ${lustre.mount} (${lustre.fsname}), process ${pid}, up ${duration(uptimeSeconds)}, memory ${formatBytes(memory.rss)}`,
    `${registered} since ${lustre.registeredSince}`,
    `${queue.running} at work, ${queue.waiting} waiting, ${queue.queued} queued; the oldest for ${duration(queue.oldestSeconds)}`,
  ];
  for (const [kind, { since, now }] of Object.entries(paused))
    lines.push(`PAUSED: ${kind}, since ${since}${now ? ', and what had begun is held' : ''}`);
  for (const [id, { outage }] of Object.entries(archives)) {
    if (outage !== undefined) lines.push(`UNREACHABLE: archive ${id}, since ${outage.since}: ${outage.reason}`);
  }
  if (restart.length > 0)
    lines.push(`after a restart: ${restart.map(({ setting, to }) => `${setting} = ${to ?? 'unset'}`).join(', ')}`);
  return lines.join('\n');
}

function actionTable({ actions, rates }: CopytoolFigures): string {
  const header = ['ACTION', 'AT WORK', 'QUEUED', 'DONE', 'FAILED', 'CANCELLED', 'MOVED', '10S', '1M', '5M', 'FILES/S'];
  const rows = ACTION_KINDS.map((kind) => {
    const { running, queued, succeeded, failed, cancelled, moved } = actions[kind];
    const bytes = rates.bytesPerSecond[kind];
    return [
      kind,
      ...[running, queued, succeeded, failed, cancelled].map(String),
      formatBytes(moved),
      ...[bytes['10s'], bytes['1m'], bytes['5m']].map(formatRate),
      rates.filesPerSecond[kind]['1m'].toFixed(1),
    ];
  });
  return renderTable(header, rows);
}

function trafficTable({ bandwidth }: CopytoolFigures): string {
  const rows = (['archive', 'restore', 'all'] as const).map((direction) => {
    const { limit, waiting, held } = bandwidth[direction];
    return [direction, limit === null ? 'unlimited' : formatRate(limit), `${waiting}${held ? ' (held)' : ''}`];
  });
  return renderTable(['BANDWIDTH', 'LIMIT', 'WAITING'], rows);
}

function archiveTable({ archives }: CopytoolFigures): string {
  const rows = Object.entries(archives).map(([id, { endpoint, container, sasExpires, actions }]) => [
    id,
    endpoint === '' ? '' : `${endpoint}/${container}`,
    sasExpires ?? '',
    ...ACTION_KINDS.map((kind) => `${actions[kind].succeeded}/${actions[kind].failed}`),
  ]);
  return renderTable(['ID', 'CONTAINER', 'SAS ENDS', 'ARCHIVED/FAILED', 'RESTORED/FAILED', 'REMOVED/FAILED'], rows);
}

function troubles({ errors, retries }: CopytoolFigures): string {
  const rows = [
    ...Object.entries(errors).map(([code, count]) => ['failed', code, String(count)]),
    ...Object.entries(retries).map(([code, count]) => ['tried again', code, String(count)]),
  ];
  return rows.length === 0 ? '' : renderTable(['TROUBLE', 'CODE', 'COUNT'], rows);
}

function inFlight({ inFlight, actionsOmitted }: CopytoolFigures): string {
  if (inFlight.length === 0) return '';
  const table = renderTable(['KIND', 'STATE', 'AGE', 'MOVED', 'OF', 'RATE', 'FID', 'PATH'], inFlight.map(inFlightRow));
  return actionsOmitted === 0 ? table : `${table}\nand ${actionsOmitted} more (--actions)`;
}

function inFlightRow({ kind, state, ageSeconds, moved, size, bytesPerSecond, fid, path }: ActionInFlight): string[] {
  return [
    kind,
    state,
    duration(ageSeconds),
    formatBytes(moved),
    size === undefined ? '' : formatBytes(size),
    bytesPerSecond === undefined ? '' : formatRate(bytesPerSecond),
    fid,
    path ?? '',
  ];
}

function duration(seconds: number): string {
  return formatDuration(Math.round(seconds) * 1000);
}
