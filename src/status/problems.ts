import { formatBytes, formatDuration } from '../service/units.ts';
import type { Health, Problem, StatusSnapshot } from './types.ts';

type Facts = Omit<StatusSnapshot, 'health'>;

const DAY_MS = 86_400_000;
/** A signature that ends so soon is a warning. */
const SAS_WARNING_MS = 7 * DAY_MS;
/** Changes that are older, and not in the container, are a warning. Seconds. */
const RECOVERY_POINT_LIMIT = 3_600;

/** What needs an operator, the worst first. */
export function healthOf(facts: Facts): Health {
  const problems = [
    ...fileSystem(facts),
    ...coordinator(facts),
    ...copytool(facts),
    ...containers(facts),
    ...follower(facts),
    ...changelogs(facts),
    ...catalog(facts),
    ...osts(facts),
  ];
  const errors = problems.filter(({ severity }) => severity === 'error');
  const warnings = problems.filter(({ severity }) => severity === 'warning');
  const state = errors.length > 0 ? 'error' : warnings.length > 0 ? 'warning' : 'ok';
  return { state, problems: [...errors, ...warnings] };
}

const error = (code: string, message: string, hint?: string): Problem => problem('error', code, message, hint);
const warning = (code: string, message: string, hint?: string): Problem => problem('warning', code, message, hint);

function problem(severity: Problem['severity'], code: string, message: string, hint: string | undefined): Problem {
  return { severity, code, message, ...(hint === undefined ? {} : { hint }) };
}

function fileSystem({ fileSystem: found, catalog: known }: Facts): Problem[] {
  if (!found.available) return [error(found.code, `the file system: ${found.reason}`, found.hint)];
  if (found.uuid === null) {
    return [
      warning(
        'NOT_SET_UP',
        'the file system has no UUID of ours yet',
        'Run `lfsazsync setup`. The first start of the copytool, or of a scan, gives it one, too.',
      ),
    ];
  }
  if (known.available && known.uuid !== null && known.uuid !== found.uuid) {
    return [
      error(
        'OTHER_FILE_SYSTEM',
        `mounted is the file system ${found.uuid}, and the catalog is of ${known.uuid}`,
        'Mount the right one, or name the right state_dir. Nothing is deleted meanwhile.',
      ),
    ];
  }
  return [];
}

/** A client sees nothing of it: that is no problem. */
function coordinator({ coordinator: found }: Facts): Problem[] {
  if (!found.available) return [];
  const off = found.mdts.flatMap(({ mdt, control }): Problem[] =>
    control === null || control === 'enabled'
      ? []
      : [
          error(
            'COORDINATOR_NOT_ENABLED',
            `the HSM coordinator of ${mdt} is ${control}: requests wait, or are refused`,
            'On the MGS: `lctl set_param -P mdt.*.hsm_control=enabled`.',
          ),
        ],
  );
  const unserved = (found.agents ?? []).filter(({ count }) => count === 0).map(({ archive }) => archive);
  if (unserved.length === 0) return off;
  return [
    ...off,
    error(
      'NO_AGENT',
      `no copytool is registered for archive ${unserved.join(', ')}: requests and reads of released files wait`,
      'Start one: `systemctl start lfsazsync-copytool`, or `lfsazsync copytool`.',
    ),
  ];
}

function copytool({ services: { copytool: service } }: Facts): Problem[] {
  if (service.state === 'not-running') {
    return [
      warning(
        'COPYTOOL_NOT_RUNNING',
        'the copytool is not running on this machine',
        'Start it: `systemctl start lfsazsync-copytool`, or `lfsazsync copytool`. Without any, archives wait and readers of released files hang.',
      ),
    ];
  }
  if (service.state === 'unavailable') return [error(service.code, service.reason, service.hint)];
  const { lustre, paused, restart } = service.figures;
  const problems: Problem[] = [];
  if (!lustre.registered) {
    problems.push(
      error(
        'NOT_REGISTERED',
        `the copytool is not registered with Lustre since ${lustre.registeredSince}`,
        'It goes on trying. Is the coordinator enabled (`lctl get_param mdt.*.hsm_control` on the MDS), and are the metadata servers up?',
      ),
    );
  }
  for (const [kind, pause] of Object.entries(paused))
    problems.push(
      warning('PAUSED', `${kind} is paused since ${pause.since}`, `\`lfsazsync copytool ctl resume ${kind}\``),
    );
  if (restart.length > 0) problems.push(restartNeeded('copytool', restart));
  return problems;
}

const UNITS = { copytool: 'lfsazsync-copytool', follower: 'lfsazsync-follow' } as const;

function restartNeeded(service: keyof typeof UNITS, restart: readonly { readonly setting: string }[]): Problem {
  const names = restart.map(({ setting }) => setting).join(', ');
  return warning(
    'RESTART_NEEDED',
    `changed in the configuration, and in force after a restart of the ${service}: ${names}`,
    `\`systemctl restart ${UNITS[service]}\``,
  );
}

function containers({ containers: all, time }: Facts): Problem[] {
  const now = Date.parse(time);
  return all.flatMap(({ archive, state, code, reason, hint, sasExpires }): Problem[] => {
    const problems: Problem[] = [];
    if (state === 'unreachable')
      problems.push(error(code ?? 'UNREACHABLE', `archive ${archive} can't be reached: ${reason ?? ''}`, hint));
    const left = sasExpires === undefined ? Number.POSITIVE_INFINITY : Date.parse(sasExpires) - now;
    const renew = 'Write a new one over the old, in the file that the credential names: nothing needs to be restarted.';
    if (left <= 0) problems.push(error('SAS_EXPIRED', `the signature of archive ${archive} has expired`, renew));
    else if (left < SAS_WARNING_MS)
      problems.push(warning('SAS_EXPIRES', `the signature of archive ${archive} ends in ${age(left / 1000)}`, renew));
    return problems;
  });
}

function follower({ services: { 'changelog-follow': service } }: Facts): Problem[] {
  if (service.state === 'not-running') {
    return [
      warning(
        'FOLLOWER_NOT_RUNNING',
        'changelog-follow is not running on this machine',
        'Start it: `systemctl start lfsazsync-follow`, or `lfsazsync changelog-follow`. One machine runs it; elsewhere this is in order.',
      ),
    ];
  }
  if (service.state === 'unavailable') return [error(service.code, service.reason, service.hint)];
  const { paused, lease, mdts, state, brake, restart } = service.figures;
  const problems: Problem[] = [];
  for (const { mdt, lostSince } of mdts) {
    if (lostSince !== null) problems.push(error('MDT_LOST', `${mdt} does not answer since ${lostSince}`));
  }
  if (!lease.held && state === 'following') {
    problems.push(warning('LEASE_NOT_HELD', 'the follower does not hold the container: nothing is carried to it'));
  }
  if (paused !== null) {
    const resume = '`lfsazsync changelog-follow ctl resume`';
    problems.push(warning('FOLLOWER_PAUSED', `changelog-follow is paused since ${paused.since}`, resume));
  }
  if (brake.engaged) {
    problems.push(
      warning(
        'REMOVALS_STOPPED',
        `very many files were removed: ${brake.pending} wait and ${brake.removed} are gone, of ${brake.of} in the container; the limit is ${brake.limit}, so nothing more goes`,
        'See what it is: `lfsazsync undelete --list DIR`. If it was meant, `lfsazsync changelog-follow ctl release-brake`.',
      ),
    );
  }
  if (restart.length > 0) problems.push(restartNeeded('follower', restart));
  return problems;
}

function changelogs(facts: Facts): Problem[] {
  const { changelogs: all, recoveryPoint } = facts;
  const { since, ageSeconds } = recoveryPoint;
  const problems = all.flatMap(({ mdt, lag, rescan }): Problem[] => [
    ...(lag.available ? [] : [warning(lag.code, lag.reason, lag.hint)]),
    ...(rescan === null
      ? []
      : [warning('RESCAN_NEEDED', `everything must be scanned again, as ${mdt} says: ${rescan}`, scanHint(facts))]),
  ]);
  if (since !== null && ageSeconds > RECOVERY_POINT_LIMIT) {
    problems.push(
      warning(
        'RECOVERY_POINT_OLD',
        `the oldest change that is not in the container is of ${age(ageSeconds)} ago`,
        'Does the follower run, and keep up? `lfsazsync journal list` shows what waits.',
      ),
    );
  }
  return problems;
}

/** Who scans everything, or why it does not come to its end. */
function scanHint({ services, catalog: found }: Facts): string {
  if (services.scan.state === 'running') return 'A scan is under way.';
  const last = found.available ? found.lastRuns.find(({ kind }) => kind === 'scan') : undefined;
  if (last?.outcome === 'partial')
    return `The last scan, of ${last.started}, could not read everything: \`lfsazsync scan\` says what. A running follower tries again by itself, every now and then.`;
  return 'The running follower does it; otherwise `lfsazsync scan`, which goes on where one was stopped.';
}

function catalog(facts: Facts): Problem[] {
  const { catalog: found, services } = facts;
  if (!found.available) {
    const make = found.code === 'CATALOG_MISSING' ? warning : error;
    return [make(found.code, found.reason, found.hint)];
  }
  const problems: Problem[] = [];
  const { journal, files, scanned, scanning, importing } = found;
  if (journal.quarantined > 0) {
    problems.push(
      warning(
        'QUARANTINE',
        `${journal.quarantined} in the journal are given up for now`,
        'See `lfsazsync journal list --quarantined`; when the cause is gone, `lfsazsync journal retry --quarantined`.',
      ),
    );
  }
  if (files.lost.count > 0) {
    problems.push(
      warning(
        'LOST_FILES',
        `${files.lost.count} files (${formatBytes(files.lost.bytes)}) are flagged as lost from the archive`,
        'Their copies are not to be trusted: archive again those whose data is in Lustre, look for the blobs of the others.',
      ),
    );
  }
  if (scanned === null) {
    const scan = scanHint(facts);
    problems.push(
      scanning === null
        ? warning('NEVER_SCANNED', 'the catalog has not seen all of the file system yet', scan)
        : warning('SCAN_UNFINISHED', `the first scan, begun ${scanning}, is not complete`, scan),
    );
  }
  if (importing !== null && services.import.state !== 'running') {
    problems.push(
      warning(
        'IMPORT_UNFINISHED',
        `an import, begun ${importing}, was stopped before its end: what it may still need in the container is not touched`,
        'Give the same `lfsazsync import` again: it goes on where it was. Any other import that comes to its end gives this one up.',
      ),
    );
  }
  return problems;
}

function osts({ osts: found }: Facts): Problem[] {
  if (!found.available) return [warning(found.code, found.reason, found.hint)];
  const { high } = found;
  return found.targets.flatMap(({ name, percent }): Problem[] =>
    high === null || percent < high
      ? []
      : [
          warning(
            'OST_FULL',
            `${name} is ${percent.toFixed(1)} % full, above the ${high} % from which on files are released`,
            'Does the release policy run? Files that are not archived can not be released.',
          ),
        ],
  );
}

/** Seconds for people, in one or two parts: `3d4h`, `5m12s`. */
export function age(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const unit = whole >= 86_400 ? 3_600 : whole >= 3_600 ? 60 : 1;
  return formatDuration(Math.floor(whole / unit) * unit * 1000);
}
