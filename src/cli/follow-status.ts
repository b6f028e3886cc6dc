import type { FollowFigures, MdtFigures } from '../follow/figures.ts';
import type { PauseState } from '../follow/service/control.ts';
import { formatBytes, formatDuration } from '../service/units.ts';
import { renderTable } from './table.ts';

/** The figures of a running follower for people. */
export function renderFollowStatus(figures: FollowFigures): string {
  return [head(figures), mdtTable(figures), work(figures), troubles(figures)]
    .filter((part) => part !== '')
    .join('\n\n');
}

export function renderFollowPause({ paused }: PauseState): string {
  return paused === null
    ? 'work in the containers is not paused'
    : `work in the containers is paused since ${paused.since}; records are taken in`;
}

function head({
  process: { pid, version, uptimeSeconds, memory },
  lustre,
  state,
  lease,
  paused,
  recoveryPoint,
}: FollowFigures) {
  const lines = [
    `follower ${version} of ${lustre.mount} (${lustre.fsname}), process ${pid}, ${state}, up ${duration(uptimeSeconds)}, memory ${formatBytes(memory.rss)}`,
    recoveryPoint === null
      ? 'the containers have everything that was read'
      : `the containers are as of ${recoveryPoint.since} (${duration(recoveryPoint.ageSeconds)} ago)`,
  ];
  if (paused !== null) lines.push(`PAUSED since ${paused.since}; records are taken in`);
  if (!lease.held) lines.push('LEASE NOT HELD: nothing is done in the containers, records are taken in');
  return lines.join('\n');
}

function mdtTable({ mdts }: FollowFigures): string {
  const rows = mdts.map(({ mdt, user, applied, cleared, lag, recordTime }: MdtFigures) => [
    mdt,
    user,
    String(applied ?? ''),
    String(cleared ?? ''),
    lag.caughtUp ? 'none' : `${lag.records}, ${duration(lag.seconds)}`,
    recordTime ?? '',
  ]);
  return renderTable(['MDT', 'USER', 'TAKEN IN', 'CLEARED', 'LAG', 'LAST RECORD'], rows);
}

function work({ marks, journal, tombstones, specialFiles, counters, rates, scan }: FollowFigures): string {
  const special = Object.values(specialFiles).reduce((sum, count) => sum + count, 0);
  const rows = [
    ['records', String(counters.records), rates.records['1m'].toFixed(1), ''],
    ['files looked at', String(counters.looked), rates.looked['1m'].toFixed(1), `${marks.count} to be looked at`],
    [
      'files put right',
      String(counters.reconciled),
      rates.reconciled['1m'].toFixed(1),
      `${journal.waiting} waiting, ${journal.atWork} at work, ${journal.quarantined} given up for now`,
    ],
    [
      'dead removed',
      String(counters.buried),
      rates.buried['1m'].toFixed(1),
      `${tombstones.count} kept (${formatBytes(tombstones.bytes)})`,
    ],
  ];
  const lines = [renderTable(['WORK', 'DONE', '/S (1M)', ''], rows)];
  if (special > 0) lines.push(`${special} special files (fifos, devices, sockets) are not carried to the containers`);
  if (scan.running) lines.push(`SCANNING: ${scan.entries ?? 0} entries so far; ${scan.reason ?? ''}`);
  return lines.join('\n');
}

function troubles({ brake, mdts, unnameable, archives, scan, restart }: FollowFigures): string {
  const lines: string[] = [];
  if (brake.engaged)
    lines.push(
      `REMOVALS ARE STOPPED: ${brake.pending} dead and ${brake.removed} removed of ${brake.of}, allowed are ${brake.limit}: changelog-follow ctl release-brake`,
    );
  if (!scan.running && scan.reason !== null) lines.push(`to be scanned: ${scan.reason}`);
  for (const { mdt, lostSince, missingTypes, unknownTypes } of mdts) {
    if (lostSince !== null) lines.push(`${mdt} does not answer since ${lostSince}`);
    for (const { type, missed } of missingTypes) lines.push(`${mdt} has never sent ${type}: ${missed} may be missed`);
    if (unknownTypes.length > 0) lines.push(`${mdt} sends records of unknown types: ${unknownTypes.join(', ')}`);
  }
  for (const [id, { container, outage }] of Object.entries(archives))
    if (outage !== undefined)
      lines.push(`UNREACHABLE: archive ${id} (${container}) since ${outage.since}: ${outage.reason}`);
  if (unnameable.count > 0)
    lines.push(
      `${unnameable.count}${unnameable.atLeast ? ' or more' : ''} have names that no blob can have: journal list --quarantined`,
    );
  if (restart.length > 0)
    lines.push(`after a restart: ${restart.map(({ setting, to }) => `${setting} = ${to ?? 'unset'}`).join(', ')}`);
  return lines.join('\n');
}

function duration(seconds: number): string {
  return formatDuration(Math.round(seconds) * 1000);
}
