import { FILE_STATES, type StatusSnapshot } from '../status/types.ts';
import { copytoolMetrics } from './copytool.ts';
import { counter, type Family, gauge, type Sample } from './exposition.ts';

/** Everything that is measured, of one snapshot. docs/metrics.md lists it. */
export function metricsOf(snapshot: StatusSnapshot): Family[] {
  return [...general(snapshot), ...services(snapshot), ...changes(snapshot), ...catalog(snapshot), ...osts(snapshot)];
}

function general({ version, health, containers, fileSystem, catalog: known, osts: targets }: StatusSnapshot): Family[] {
  const count = (severity: string) => health.problems.filter((problem) => problem.severity === severity).length;
  return [
    gauge('build_info', 'This program.', [{ labels: { version }, value: 1 }]),
    gauge('problems', 'What needs an operator: see lfsazsync status.', [
      { labels: { severity: 'error' }, value: count('error') },
      { labels: { severity: 'warning' }, value: count('warning') },
    ]),
    gauge('source_available', 'Whether a part of the figures could be read.', [
      { labels: { source: 'file_system' }, value: Number(fileSystem.available) },
      { labels: { source: 'catalog' }, value: Number(known.available) },
      { labels: { source: 'osts' }, value: Number(targets.available) },
    ]),
    gauge(
      'container_up',
      'Whether an archive’s container can be reached.',
      containers.map(({ archive, container, state }) => ({
        labels: { archive: String(archive), container },
        value: Number(state === 'ok'),
      })),
    ),
    gauge(
      'container_sas_expiry_timestamp_seconds',
      'End of the shared access signature in use.',
      containers.flatMap(({ archive, sasExpires }) =>
        sasExpires === undefined
          ? []
          : [{ labels: { archive: String(archive) }, value: Date.parse(sasExpires) / 1000 }],
      ),
    ),
  ];
}

function services({ services: all }: StatusSnapshot): Family[] {
  const follower = all['changelog-follow'];
  return [
    gauge(
      'service_up',
      'Whether a service of this machine runs and answers.',
      Object.entries(all).map(([service, { state }]) => ({ labels: { service }, value: Number(state === 'running') })),
    ),
    ...(all.copytool.state === 'running' ? copytoolMetrics(all.copytool.figures) : []),
    ...(follower.state !== 'running'
      ? []
      : [
          gauge('follow_paused', 'Whether the follower is paused.', Number(follower.figures.paused !== null)),
          gauge('follow_lease_held', 'Whether the follower holds the container.', Number(follower.figures.lease.held)),
          gauge(
            'follow_removals_stopped',
            'Whether the brake on mass deletions holds removals.',
            Number(follower.figures.brake.engaged),
          ),
          counter(
            'follow_events_total',
            'What the follower counts, see docs/follower.md.',
            Object.entries(follower.figures.counters).map(([event, value]) => ({ labels: { event }, value })),
          ),
        ]),
  ];
}

function changes({ changelogs, recoveryPoint }: StatusSnapshot): Family[] {
  const lag = (part: 'records' | 'seconds'): Sample[] =>
    changelogs.flatMap(({ mdt, lag: one }) => (one.available ? [{ labels: { mdt }, value: one[part] }] : []));
  return [
    gauge('changelog_lag_records', 'Records of an MDT that are not in the catalog.', lag('records')),
    gauge('changelog_lag_seconds', 'Age of the oldest of them.', lag('seconds')),
    gauge(
      'changelog_applied_index',
      'The last record of an MDT in the catalog.',
      changelogs.flatMap(({ mdt, applied }) => (applied === null ? [] : [{ labels: { mdt }, value: applied }])),
    ),
    gauge(
      'changelog_rescan_needed',
      'Whether everything must be scanned again.',
      changelogs.map(({ mdt, rescan }) => ({ labels: { mdt }, value: Number(rescan !== null) })),
    ),
    gauge(
      'recovery_point_age_seconds',
      'Age of the oldest change that is not in the container.',
      recoveryPoint.ageSeconds,
    ),
  ];
}

function catalog({ catalog: found }: StatusSnapshot): Family[] {
  if (!found.available) return [];
  const { files, directories, symlinks, special, marks, journal, tombstones, scanned, lastRuns } = found;
  const byState = (part: 'count' | 'bytes') =>
    FILE_STATES.map((state) => ({ labels: { state }, value: files[state][part] }));
  const ofRuns = (value: (run: (typeof lastRuns)[number]) => number) =>
    lastRuns.map((run) => ({ labels: { kind: run.kind, name: run.name }, value: value(run) }));
  return [
    gauge('files', 'Files by HSM state.', byState('count')),
    gauge('file_bytes', 'Sizes of files by HSM state.', byState('bytes')),
    gauge('entries', 'What else is in the file system.', [
      { labels: { type: 'directory' }, value: directories },
      { labels: { type: 'symlink' }, value: symlinks },
      { labels: { type: 'special' }, value: special },
    ]),
    gauge('marks', 'Files to be looked at in Lustre.', marks.count),
    gauge('journal_entries', 'To be put right in the container.', [
      { labels: { state: 'waiting' }, value: journal.waiting },
      { labels: { state: 'quarantined' }, value: journal.quarantined },
    ]),
    gauge('tombstones', 'The dead whose copies are kept.', tombstones.count),
    gauge('tombstone_bytes', 'Sizes of the dead whose copies are kept.', tombstones.bytes),
    gauge(
      'last_scan_timestamp_seconds',
      'When the last scan that saw everything began.',
      scanned === null ? undefined : Date.parse(scanned) / 1000,
    ),
    gauge(
      'run_end_timestamp_seconds',
      'When the last run of a kind, or of a policy, ended.',
      ofRuns(({ ended }) => Date.parse(ended ?? '') / 1000),
    ),
    gauge(
      'run_complete',
      'Whether the last run of a kind, or of a policy, that has ended was complete.',
      ofRuns(({ outcome }) => Number(outcome === 'complete')),
    ),
  ];
}

function osts({ osts: found }: StatusSnapshot): Family[] {
  if (!found.available) return [];
  const of = (part: 'used' | 'available') =>
    found.targets.map(({ name, [part]: value }) => ({ labels: { ost: name }, value }));
  return [
    gauge('ost_used_bytes', 'Used space of an OST.', of('used')),
    gauge('ost_available_bytes', 'Space of an OST that may still be written.', of('available')),
  ];
}
