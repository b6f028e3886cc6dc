import { ACTION_KINDS } from '../../copytool/stats.ts';
import { formatBytes, formatRate } from '../../service/units.ts';
import { agentsText, coordinatorText } from '../coordinator.ts';
import { placeOf } from '../journal.ts';
import { NO_SCHEDULE, POLICY_HEADER, policyCells } from '../policy-rows.ts';
import { age } from '../problems.ts';
import { FILE_STATES, isRun, type Problem, type StatusSnapshot } from '../types.ts';
import type { History } from './history.ts';
import { bar, type Marks, sparkline } from './marks.ts';
import { blank, type Colour, dim, heading, type Row, row, table, wrapped } from './rows.ts';

export const PANES = ['overview', 'actions', 'changes', 'files', 'runs'] as const;
export type PaneName = (typeof PANES)[number];

export interface View {
  readonly snapshot: StatusSnapshot;
  readonly history: History;
  /** Characters of a line. */
  readonly width: number;
  readonly marks: Marks;
}

/** What a pane shows, all of it: the screen cuts out what there is room for. */
export const paneRows: Readonly<Record<PaneName, (view: View) => Row[]>> = {
  overview: (view) => [...problems(view), ...services(view), ...throughput(view), ...waiting(view)],
  actions: (view) => [...throughput(view), ...actions(view), ...troubles(view)],
  changes: (view) => [...waiting(view), ...changelogs(view), ...quarantine(view)],
  files: (view) => [...files(view), ...osts(view)],
  runs: (view) => [...policies(view), ...runs(view), ...events(view)],
};

const SEVERITY: Readonly<Record<Problem['severity'], Colour>> = { error: 'red', warning: 'yellow' };

function problems({ snapshot: { health }, width }: View): Row[] {
  if (health.problems.length === 0) return [row({ text: 'Nothing needs attention.', colour: 'green' }), blank];
  return [
    ...health.problems.flatMap(({ severity, message, hint }) => {
      const mark = `${severity}: `;
      const [first = '', ...more] = wrapped(`${mark}${message}`, width);
      return [
        row({ text: mark, colour: SEVERITY[severity], bold: true }, first.slice(mark.length)),
        ...more.map((line) => row(line)),
        ...hintRows(hint, width),
      ];
    }),
    blank,
  ];
}

/** What to do, as a whole: it is what the operator has come for. */
function hintRows(hint: string | undefined, width: number): Row[] {
  return hint === undefined ? [] : wrapped(hint, width - 2, '').map((line) => dim(`  ${line}`));
}

function services({ snapshot }: View): Row[] {
  const { services: all, containers, fileSystem } = snapshot;
  const rows: Row[] = [heading('Services')];
  for (const [name, service] of Object.entries(all)) {
    const padded = `${name.padEnd(18)}`;
    // Of what is begun when it is needed, only what is under way.
    if (service.state === 'not-running' && isRun(name)) continue;
    if (service.state === 'not-running') rows.push(row(padded, { text: 'not running', colour: 'gray' }));
    else if (service.state === 'unavailable') rows.push(row(padded, { text: service.reason, colour: 'red' }));
    else if ('process' in service.figures) {
      const { pid, uptimeSeconds } = service.figures.process;
      rows.push(row(padded, { text: 'running', colour: 'green' }, `  process ${pid}, up ${age(uptimeSeconds)}`));
    } else
      rows.push(
        row(
          padded,
          { text: 'running', colour: 'green' },
          `  process ${service.figures.pid}, of ${service.figures.path}`,
        ),
      );
  }
  rows.push(
    fileSystem.available
      ? row('mount'.padEnd(18), { text: 'ok', colour: 'green' }, `  ${fileSystem.fsname}, Lustre ${fileSystem.llapi}`)
      : row('mount'.padEnd(18), { text: fileSystem.reason, colour: 'red' }),
  );
  rows.push(...coordinator(snapshot));
  for (const { archive, state, endpoint, container, code, sasExpires } of containers) {
    const good = state === 'ok';
    const ends = sasExpires === undefined ? '' : `, signature ends ${sasExpires.slice(0, 16)}Z`;
    rows.push(
      row(
        `archive ${archive}`.padEnd(18),
        { text: good ? 'ok' : `unreachable (${code ?? ''})`, colour: good ? 'green' : 'red' },
        `  ${endpoint}/${container}${ends}`,
      ),
    );
  }
  return [...rows, blank];
}

function coordinator({ coordinator: found }: StatusSnapshot): Row[] {
  if (!found.available) return [row('coordinator'.padEnd(18), { text: found.reason, colour: 'gray' })];
  const unserved = found.agents?.some(({ count }) => count === 0) ?? false;
  return [
    ...found.mdts.map((one) =>
      row(
        'coordinator'.padEnd(18),
        { text: one.control ?? 'unknown', colour: one.control === 'enabled' ? 'green' : 'red' },
        `  ${coordinatorText(one)}`,
      ),
    ),
    row('agents'.padEnd(18), { text: agentsText(found), colour: unserved ? 'red' : undefined }),
  ];
}

function throughput({ snapshot, history, width, marks }: View): Row[] {
  const { copytool } = snapshot.services;
  if (copytool.state !== 'running') return [heading('Throughput'), dim('the copytool is not running'), blank];
  const { actions: counted, paused, queue } = copytool.figures;
  const graph = Math.max(10, Math.min(60, width - 62));
  const rows = ACTION_KINDS.map((kind) => {
    const bytes = history.bytesPerSecond[kind];
    const files = history.filesPerSecond[kind];
    const { running, queued, succeeded, failed } = counted[kind];
    const line = sparkline(kind === 'remove' ? files : bytes, graph, marks);
    const speed = kind === 'remove' ? `${(files.at(-1) ?? 0).toFixed(1)}/s` : formatRate(bytes.at(-1) ?? 0);
    return row(
      kind.padEnd(8),
      { text: line, colour: 'cyan' },
      ` ${speed.padStart(12)}  ${running} at work, ${queued} queued, ${succeeded} done`,
      failed > 0 ? { text: `, ${failed} failed`, colour: 'yellow' } : '',
      paused[kind] === undefined ? '' : { text: '  PAUSED', colour: 'yellow', bold: true },
    );
  });
  const oldest = queue.oldestSeconds > 0 ? `, the oldest for ${age(queue.oldestSeconds)}` : '';
  return [heading(`Throughput${oldest}`), ...rows, blank];
}

function waiting({ snapshot: { recoveryPoint, catalog, changelogs: all }, history, width, marks }: View): Row[] {
  const { since, ageSeconds, partial } = recoveryPoint;
  const known = partial ? ' (as far as is known)' : '';
  const behind = all.map(
    ({ mdt, lag }) => `${mdt} ${lag.available ? `${lag.records} records, ${age(lag.seconds)}` : 'unknown'}`,
  );
  const rows = [
    heading('Not yet in the container'),
    row(
      since === null
        ? `nothing is known to be missing${known}`
        : `the oldest change is of ${age(ageSeconds)} ago${known}`,
    ),
  ];
  if (behind.length > 0) {
    const graph = Math.max(10, Math.min(40, width - 60));
    rows.push(
      row('behind  ', { text: sparkline(history.lag, graph, marks), colour: 'cyan' }, `  ${behind.join('; ')}`),
    );
  }
  if (!catalog.available) return [...rows, dim(`catalog: ${catalog.reason}`), blank];
  const { marks: marked, journal, tombstones } = catalog;
  rows.push(
    row(
      `${marked.count} to be looked at, ${journal.waiting} in the journal, `,
      { text: `${journal.quarantined} given up for now`, colour: journal.quarantined > 0 ? 'yellow' : undefined },
      `, ${tombstones.count} dead kept (${formatBytes(tombstones.bytes)})`,
    ),
  );
  return [...rows, blank];
}

function actions({
  snapshot: {
    services: { copytool },
  },
}: View): Row[] {
  if (copytool.state !== 'running') return [];
  const { inFlight, actionsOmitted } = copytool.figures;
  if (inFlight.length === 0) return [heading('Under way'), dim('nothing'), blank];
  const lines = inFlight.map(({ kind, state, ageSeconds, moved, size, bytesPerSecond, path, fid }) => [
    kind,
    state,
    age(ageSeconds),
    size === undefined || size === 0 ? '' : `${Math.floor((100 * moved) / size)} %`,
    size === undefined ? formatBytes(moved) : formatBytes(size),
    bytesPerSecond === undefined ? '' : formatRate(bytesPerSecond),
    path ?? fid,
  ]);
  const rows = table(['KIND', 'STATE', 'AGE', 'DONE', 'SIZE', 'RATE', 'FILE'], lines, (index) => {
    const { fid, path, state } = inFlight[index] ?? { fid: '', state: 'running' };
    return {
      subject: { kind: 'action', fid, name: path ?? fid },
      colour: state === 'unreachable' ? 'red' : state === 'paused' || state === 'held' ? 'yellow' : undefined,
    };
  });
  return [heading('Under way'), ...rows, ...(actionsOmitted > 0 ? [dim(`and ${actionsOmitted} more`)] : []), blank];
}

function troubles({
  snapshot: {
    services: { copytool },
  },
  width,
}: View): Row[] {
  if (copytool.state !== 'running') return [];
  const { errors, retries, lastFailures } = copytool.figures;
  const lines = [
    ...Object.entries(errors).map(([code, count]) => ['failed', code, String(count)]),
    ...Object.entries(retries).map(([code, count]) => ['tried again', code, String(count)]),
  ];
  const latest = lastFailures.flatMap(({ at, kind, code, reason, hint, path, fid }): Row[] => {
    const mark = `${at.slice(11, 19)} ${kind} ${code}`;
    const [first = '', ...more] = wrapped(`${mark}  ${path ?? fid}: ${reason}`, width);
    const rows = [row({ text: mark, colour: 'red' }, first.slice(mark.length)), ...more.map((line) => row(line))];
    return [...rows, ...hintRows(hint, width)].map((one) => ({ ...one, listed: true }));
  });
  return [
    ...(latest.length === 0
      ? []
      : [heading('Latest failures (what the codes mean: docs/copytool.md)'), ...latest, blank]),
    ...(lines.length === 0 ? [] : [heading('Since it was started'), ...table(['WHAT', 'CODE', 'COUNT'], lines), blank]),
  ];
}

function changelogs({ snapshot: { changelogs: all } }: View): Row[] {
  if (all.length === 0) return [];
  const lines = all.map(({ mdt, user, applied, from, lag, rescan }) => [
    ...[mdt, user ?? '', applied === null ? '' : String(applied)],
    ...(lag.available ? [String(lag.records), age(lag.seconds)] : ['unknown', '']),
    rescan === null ? `as ${from} says` : `to be scanned again: ${rescan}`,
  ]);
  return [heading('Changelogs'), ...table(['MDT', 'USER', 'TAKEN IN', 'BEHIND', 'BY', ''], lines), blank];
}

function quarantine({ snapshot: { catalog } }: View): Row[] {
  if (!catalog.available || catalog.quarantine.length === 0) return [];
  const lines = catalog.quarantine.map((entry) => [
    ...[entry.reasons.join(','), String(entry.tries), placeOf(entry)],
    entry.error ?? '',
  ]);
  const rows = table(['REASONS', 'TRIES', 'FILE', 'ERROR'], lines, (index) => {
    const entry = catalog.quarantine[index];
    return entry === undefined ? {} : { subject: { kind: 'quarantined', fid: entry.fid, name: placeOf(entry) } };
  });
  const left = catalog.journal.quarantined - catalog.quarantine.length;
  return [
    heading('Given up for now'),
    ...rows,
    ...(left > 0 ? [dim(`and ${left} more: lfsazsync journal list`)] : []),
    blank,
  ];
}

function files({ snapshot: { catalog }, width, marks }: View): Row[] {
  if (!catalog.available) return [heading('Files'), dim(catalog.reason), blank];
  const { files: byState, directories, symlinks, special, scanned } = catalog;
  const total = FILE_STATES.reduce((sum, state) => sum + byState[state].bytes, 0);
  const length = Math.max(10, Math.min(50, width - 50));
  const rows = FILE_STATES.map((state) => {
    const { count, bytes } = byState[state];
    const share = total === 0 ? 0 : (100 * bytes) / total;
    const colour = state === 'lost' && count > 0 ? 'red' : undefined;
    return row(
      { text: `${state.padEnd(11)}${String(count).padStart(12)} ${formatBytes(bytes).padStart(12)}  `, colour },
      { text: bar(share, length, [], marks), colour: 'cyan' },
      ` ${share.toFixed(0)} %`,
    );
  });
  const rest = `${directories} directories, ${symlinks} symlinks, ${special} special files; `;
  const when = scanned === null ? 'never scanned as a whole' : `scanned ${scanned.slice(0, 19)}Z`;
  return [heading('Files by state'), ...rows, dim(`${rest}${when}`), blank];
}

function osts({ snapshot: { osts: found }, width, marks }: View): Row[] {
  if (!found.available) return [heading('OSTs'), dim(found.reason), blank];
  const { targets, high, low } = found;
  const at = [low, high].filter((mark) => mark !== null);
  const longest = Math.max(...targets.map(({ name }) => name.length));
  // Behind the bar: percent, and two amounts.
  const length = Math.max(10, Math.min(60, width - longest - 42));
  const rows = targets.map(({ name, percent, used, available }): Row => {
    const colour: Colour =
      high !== null && percent >= high ? 'red' : low !== null && percent >= low ? 'yellow' : 'green';
    return {
      ...row(
        `${name.padEnd(longest)} `,
        { text: bar(percent, length, at, marks), colour },
        ` ${percent.toFixed(1).padStart(5)} %  ${formatBytes(used)} used, ${formatBytes(available)} free`,
      ),
      listed: true,
    };
  });
  const note = high === null ? [] : [dim(`files are released from ${high} % on, down to ${low} %`)];
  return [heading('OSTs'), ...rows, ...note, blank];
}

function policies({ snapshot: { policies: all, time } }: View): Row[] {
  if (all.length === 0) return [];
  const rows = table(POLICY_HEADER, policyCells(all, time), (index) => ({
    colour: all[index]?.running === null ? undefined : 'green',
  }));
  return [heading('Policies'), ...rows, ...(all.some(({ by }) => by !== null) ? [] : [dim(NO_SCHEDULE)]), blank];
}

function runs({ snapshot: { catalog } }: View): Row[] {
  if (!catalog.available) return [heading('Runs'), dim(catalog.reason), blank];
  if (catalog.runs.length === 0) return [heading('Runs'), dim('none yet'), blank];
  const lines = catalog.runs.map(({ kind, name, started, ended, outcome }) => [
    ...[kind, name, started.slice(0, 19).replace('T', ' ')],
    ended === null ? '' : age((Date.parse(ended) - Date.parse(started)) / 1000),
    outcome ?? 'under way, or killed',
  ]);
  return [heading('Runs'), ...table(['KIND', 'NAME', 'STARTED', 'TOOK', 'OUTCOME'], lines), blank];
}

const LEVELS: Readonly<Record<string, Colour | undefined>> = { error: 'red', warn: 'yellow' };

function events({ snapshot: { catalog } }: View): Row[] {
  if (!catalog.available || catalog.events.length === 0) return [heading('Events'), dim('none'), blank];
  const lines = catalog.events.map(({ at, level, message }) => [at.slice(0, 19).replace('T', ' '), level, message]);
  const rows = table(['WHEN', 'LEVEL', 'WHAT'], lines, (index) => ({
    colour: LEVELS[catalog.events[index]?.level ?? ''],
  }));
  return [heading('Events'), ...rows, blank];
}
