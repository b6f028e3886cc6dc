import type { CopytoolFigures } from '../copytool/figures.ts';
import { ACTION_KINDS } from '../copytool/stats.ts';
import { counter, type Family, gauge, type Sample } from './exposition.ts';

/** What the running copytool counts. Counters begin with its process. */
export function copytoolMetrics(figures: CopytoolFigures): Family[] {
  const { process, lustre, archives, queue, paused, errors, retries, counters, bandwidth } = figures;
  const byArchive = (sample: (id: string, kind: (typeof ACTION_KINDS)[number]) => Sample[]): Sample[] =>
    Object.keys(archives).flatMap((id) => ACTION_KINDS.flatMap((kind) => sample(id, kind)));
  const actions = (id: string, kind: (typeof ACTION_KINDS)[number]) => archives[id]?.actions[kind];
  const perState = (states: readonly ('queued' | 'running' | 'succeeded' | 'failed' | 'cancelled')[], label: string) =>
    byArchive((archive, kind) =>
      states.map((state) => ({
        labels: { archive, kind, [label]: state },
        value: actions(archive, kind)?.[state] ?? 0,
      })),
    );
  const bytes = (part: 'bytes' | 'moved') =>
    byArchive((archive, kind) => [{ labels: { archive, kind }, value: actions(archive, kind)?.[part] ?? 0 }]);
  const named = (counts: Readonly<Record<string, number>>, label: string): Sample[] =>
    Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }));
  return [
    gauge('copytool_start_time_seconds', 'When the copytool was started.', Date.parse(process.startedAt) / 1000),
    counter('copytool_cpu_seconds_total', 'Processor time of the copytool, without its helpers.', process.cpuSeconds),
    gauge('copytool_resident_memory_bytes', 'Memory of the copytool, without its helpers.', process.memory.rss),
    gauge('copytool_registered', 'Whether the copytool is registered with Lustre.', Number(lustre.registered)),
    counter(
      'copytool_actions_total',
      'Actions that have ended.',
      perState(['succeeded', 'failed', 'cancelled'], 'outcome'),
    ),
    gauge('copytool_actions', 'Actions that have not ended.', perState(['queued', 'running'], 'state')),
    gauge('copytool_actions_waiting', 'Actions that wait for a copy to be found or rehydrated.', queue.waiting),
    gauge(
      'copytool_oldest_action_seconds',
      'Age of the oldest action that has not ended; 0: there is none.',
      queue.oldestSeconds,
    ),
    counter('copytool_bytes_total', 'Bytes of the files of actions that succeeded.', bytes('bytes')),
    counter('copytool_moved_bytes_total', 'Bytes that were moved, those of what failed included.', bytes('moved')),
    counter('copytool_failures_total', 'Failed actions by code.', named(errors, 'code')),
    counter(
      'copytool_retries_total',
      'Requests to a container that were tried again, by code.',
      named(retries, 'code'),
    ),
    counter('copytool_events_total', 'What else is counted, see docs/control.md.', named(counters, 'event')),
    gauge(
      'copytool_paused',
      'Whether a kind of action is paused.',
      ACTION_KINDS.map((kind) => ({ labels: { kind }, value: Number(paused[kind] !== undefined) })),
    ),
    gauge(
      'copytool_bandwidth_limit_bytes_per_second',
      'Limits in force; without one there is no sample.',
      Object.entries(bandwidth).flatMap(([direction, { limit }]) =>
        limit === null ? [] : [{ labels: { direction }, value: limit }],
      ),
    ),
  ];
}
