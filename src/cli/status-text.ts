import { styleText } from 'node:util';
import { ACTION_KINDS } from '../copytool/stats.ts';
import { formatBytes, formatRate } from '../service/units.ts';
import { agentsText, COORDINATOR_HEADER, coordinatorCells } from '../status/coordinator.ts';
import { placeOf } from '../status/journal.ts';
import type { Part } from '../status/part.ts';
import { NO_SCHEDULE, POLICY_HEADER, policyCells } from '../status/policy-rows.ts';
import { age } from '../status/problems.ts';
import { FILE_STATES, isRun, type Problem, type StatusSnapshot } from '../status/types.ts';
import { renderTable } from './table.ts';

const RUNS = 5;
const EVENTS = 5;
const ACTIONS = 10;

/** The state of everything for people, as text. */
export function renderSnapshot(snapshot: StatusSnapshot): string {
  return [
    head(snapshot),
    services(snapshot),
    coordinator(snapshot),
    containers(snapshot),
    changelogs(snapshot),
    waiting(snapshot),
    files(snapshot),
    osts(snapshot),
    actions(snapshot),
    policies(snapshot),
    runs(snapshot),
    events(snapshot),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

const COLOURS = { ok: 'green', warning: 'yellow', error: 'red' } as const;

function head({ host, time, mount, fileSystem, health }: StatusSnapshot): string {
  const which = fileSystem.available ? ` (${fileSystem.fsname}, ${fileSystem.uuid ?? 'no UUID yet'})` : '';
  const word = { ok: 'healthy', warning: 'needs attention', error: 'in trouble' }[health.state];
  const state = styleText([COLOURS[health.state], 'bold'], word, { stream: process.stdout });
  return [`${mount}${which} on ${host}, ${time}: ${state}`, ...health.problems.flatMap(problemLines)].join('\n');
}

function problemLines({ severity, message, hint }: Problem): string[] {
  const label = styleText(COLOURS[severity], severity, { stream: process.stdout });
  return [`${label}: ${message}`, ...(hint === undefined ? [] : [`  ${hint}`])];
}

function services({ services: all }: StatusSnapshot): string {
  // Of what is begun when it is needed, only what is under way.
  const shown = Object.entries(all).filter(([name, { state }]) => state !== 'not-running' || !isRun(name));
  const rows = shown.map(([name, service]) => {
    if (service.state !== 'running') return [name, service.state.replace('-', ' '), '', ''];
    const { figures } = service;
    if ('process' in figures) {
      const { pid, uptimeSeconds } = figures.process;
      return [name, 'running', String(pid), age(uptimeSeconds)];
    }
    return [
      name,
      `running, of ${figures.path}`,
      String(figures.pid),
      age((Date.now() - Date.parse(figures.since)) / 1000),
    ];
  });
  return renderTable(['SERVICE', 'STATE', 'PID', 'UP'], rows);
}

function coordinator({ coordinator: found }: StatusSnapshot): string {
  if (!found.available) return why('coordinator and agents', found);
  return `${renderTable(COORDINATOR_HEADER, coordinatorCells(found))}\nagents: ${agentsText(found)}`;
}

function containers({ containers: all }: StatusSnapshot): string {
  if (all.length === 0) return '';
  const rows = all.map(({ archive, endpoint, container, state, code, sasExpires }) => [
    String(archive),
    `${endpoint}/${container}`,
    code === undefined ? state : `${state}: ${code}`,
    sasExpires ?? '',
  ]);
  return renderTable(['ARCHIVE', 'CONTAINER', 'STATE', 'SAS ENDS'], rows);
}

function changelogs({ changelogs: all }: StatusSnapshot): string {
  if (all.length === 0) return '';
  const rows = all.map(({ mdt, user, applied, lag }) => [
    mdt,
    user ?? '',
    applied === null ? '' : String(applied),
    ...(lag.available ? [String(lag.records), lag.seconds === 0 ? '0s' : age(lag.seconds)] : ['unknown', '']),
  ]);
  return renderTable(['CHANGELOG', 'USER', 'TAKEN IN', 'BEHIND', 'BY'], rows);
}

/** What is on its way to the container. */
function waiting({ recoveryPoint: { since, ageSeconds, partial }, catalog }: StatusSnapshot): string {
  const missing =
    since === null ? 'no change is known to be missing' : `the oldest change is of ${age(ageSeconds)} ago`;
  const lines = [`not yet in the container: ${missing}${partial ? ', as far as is known' : ''}`];
  if (!catalog.available) return [...lines, why('catalog', catalog)].join('\n');
  const { marks, journal, tombstones, scanned, quarantine } = catalog;
  lines.push(
    `${marks.count} to be looked at, ${journal.waiting} in the journal, ${journal.quarantined} given up for now, ` +
      `${tombstones.count} dead whose copies are kept (${formatBytes(tombstones.bytes)})`,
    scanned === null ? 'never scanned as a whole' : `last scanned as a whole: ${scanned}`,
  );
  for (const row of quarantine.slice(0, EVENTS)) lines.push(`  given up: ${placeOf(row)}: ${row.error ?? ''}`);
  return lines.join('\n');
}

function files({ catalog }: StatusSnapshot): string {
  if (!catalog.available) return '';
  const rows = FILE_STATES.map((state) => {
    const { count, bytes } = catalog.files[state];
    return [state, String(count), formatBytes(bytes)];
  });
  const { directories, symlinks, special } = catalog;
  const table = renderTable(['FILES', 'COUNT', 'SIZE'], rows);
  return `${table}\nand ${directories} directories, ${symlinks} symlinks, ${special} special files`;
}

function osts({ osts: found }: StatusSnapshot): string {
  if (!found.available) return why('OSTs', found);
  const { targets, high, low } = found;
  const rows = targets.map(({ name, percent, used, available }) => [
    name,
    `${percent.toFixed(1)} %`,
    formatBytes(used),
    formatBytes(available),
  ]);
  const marks = high === null ? '' : `\nreleased from ${high} % on, down to ${low} %`;
  return `${renderTable(['OST', 'USE', 'USED', 'FREE'], rows)}${marks}`;
}

function actions({ services: { copytool } }: StatusSnapshot): string {
  if (copytool.state !== 'running') return '';
  const { actions: counted, rates, inFlight, actionsOmitted, lastFailures } = copytool.figures;
  const rows = ACTION_KINDS.map((kind) => {
    const { running, queued, succeeded, failed } = counted[kind];
    const bytes = rates.bytesPerSecond[kind];
    const numbers = [running, queued, succeeded, failed].map(String);
    return [
      kind,
      ...numbers,
      formatRate(bytes['10s']),
      formatRate(bytes['5m']),
      rates.filesPerSecond[kind]['1m'].toFixed(1),
    ];
  });
  const parts = [renderTable(['ACTION', 'AT WORK', 'QUEUED', 'DONE', 'FAILED', '10S', '5M', 'FILES/S'], rows)];
  const shown = inFlight.slice(0, ACTIONS);
  if (shown.length > 0) {
    const lines = shown.map(({ kind, state, ageSeconds, moved, size, path, fid }) => [
      ...[kind, state, age(ageSeconds), formatBytes(moved), size === undefined ? '' : formatBytes(size)],
      path ?? fid,
    ]);
    parts.push(renderTable(['UNDER WAY', 'STATE', 'AGE', 'MOVED', 'OF', 'FILE'], lines));
    const left = inFlight.length - shown.length + actionsOmitted;
    if (left > 0) parts.push(`and ${left} more`);
  }
  for (const { at, kind, path, fid, code, reason, hint } of lastFailures.slice(0, EVENTS))
    parts.push(`failed ${at}: ${kind} of ${path ?? fid}: ${code}: ${reason}${hint === undefined ? '' : `\n  ${hint}`}`);
  return parts.join('\n\n');
}

function policies({ policies: all, time }: StatusSnapshot): string {
  if (all.length === 0) return '';
  const table = renderTable(POLICY_HEADER, policyCells(all, time));
  return all.some(({ by }) => by !== null) ? table : `${table}\n${NO_SCHEDULE}`;
}

function runs({ catalog }: StatusSnapshot): string {
  if (!catalog.available || catalog.runs.length === 0) return '';
  const rows = catalog.runs
    .slice(0, RUNS)
    .map(({ kind, name, started, ended, outcome }) => [
      kind,
      name,
      started,
      ended ?? '',
      outcome ?? 'under way, or killed',
    ]);
  return renderTable(['LAST RUNS', 'NAME', 'STARTED', 'ENDED', 'OUTCOME'], rows);
}

function events({ catalog }: StatusSnapshot): string {
  if (!catalog.available || catalog.events.length === 0) return '';
  const rows = catalog.events.slice(0, EVENTS).map(({ at, level, message }) => [at, level, message]);
  return renderTable(['LAST EVENTS', 'LEVEL', 'WHAT'], rows);
}

function why(what: string, part: Exclude<Part<object>, { available: true }>): string {
  return `${what}: unknown: ${part.reason}`;
}
