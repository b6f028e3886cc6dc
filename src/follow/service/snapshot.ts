import type { Catalog } from '../../catalog/catalog.ts';
import type { Cursor } from '../../catalog/types.ts';
import type { Fid } from '../../identity/fid.ts';
import type { Rater } from '../../service/rates.ts';
import { lookAtBrake } from '../brake.ts';
import type { FollowFigures, MdtFigures } from '../figures.ts';
import { UNNAMEABLE } from '../reconcile/errors.ts';
import { missingTypes } from '../record-types.ts';
import type { Follower, Foundation } from './follower.ts';
import type { IntakeState } from './intake.ts';
import { unknownTypes } from './notices.ts';
import type { FollowStats } from './stats.ts';
import { lastSweep } from './sweeping.ts';

/** Of the quarantine, rows that are looked at for names that no blob can have. */
const MOST_LOOKED_AT = 10_000;
const PAGE = 1_000;

export interface SnapshotSources {
  readonly base: Foundation;
  /** Undefined while the catalog is being opened. */
  readonly follower: Follower;
  readonly state: FollowFigures['state'];
  readonly leaseHeld: boolean;
  readonly rater: Rater<keyof FollowFigures['rates']>;
}

/** What the rates are made of. */
export function ratedValues({ records, looked, reconciled, buried }: FollowStats) {
  return { records, looked, reconciled, buried };
}

/** All figures at this moment. */
export async function snapshot(sources: SnapshotSources): Promise<FollowFigures> {
  const { base, follower, state, leaseHeld, rater } = sources;
  const { catalog } = follower;
  const { stats, pauses, settings, fs } = base;
  const [cursors, marks, journal, dead, usage, swept] = await Promise.all([
    catalog.cursors(),
    catalog.markStats(),
    catalog.journalStats(),
    catalog.deaths(0),
    catalog.usage(),
    lastSweep(catalog),
  ]);
  const mdts = follower.intakes.map((intake) => mdtFigures(intake.state, cursors));
  const special = (type: string) =>
    Number(usage.filter((one) => one.type === type).reduce((n, { count }) => n + count, 0n));
  const { startedAt, ...counters } = stats;
  return {
    schema: 1,
    service: 'changelog-follow',
    time: new Date().toISOString(),
    process: processFigures(base.version, startedAt),
    lustre: { mount: fs.mount, fsname: fs.fsname, uuid: base.fsUuid },
    catalog: catalog.file,
    state,
    paused: pauses.since === undefined ? null : { since: pauses.since.toISOString() },
    lease: { held: leaseHeld },
    mdts,
    recoveryPoint: recoveryPoint([marks.oldest, journal.oldestWaiting, ...mdts.map(oldestUnread)]),
    marks: { count: marks.count, oldest: iso(marks.oldest) },
    journal: {
      waiting: journal.count - journal.quarantined,
      atWork: follower.atWork,
      quarantined: journal.quarantined,
      oldest: iso(journal.oldest),
    },
    tombstones: { count: dead.count, bytes: dead.bytes, oldest: iso(dead.oldest) },
    brake: await lookAtBrake(catalog, settings.removal),
    specialFiles: { fifo: special('fifo'), chr: special('chr'), blk: special('blk'), sock: special('sock') },
    unnameable: await countUnnameable(catalog),
    archives: archiveFigures(base),
    counters,
    rates: rater.rates(performance.now()),
    scan: scanFigures(follower, cursors),
    sweep: { last: swept === undefined ? null : { at: new Date(swept.at).toISOString(), outcome: swept.outcome } },
    settings: settings.list(),
    restart: settings.restart,
  };
}

function processFigures(version: string, startedAt: Date): FollowFigures['process'] {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    pid: process.pid,
    version,
    startedAt: startedAt.toISOString(),
    uptimeSeconds: Math.round(process.uptime() * 1000) / 1000,
    cpuSeconds: (user + system) / 1e6,
    memory: { rss, heapUsed },
  };
}

function mdtFigures(state: IntakeState, cursors: readonly Cursor[]): MdtFigures {
  const { mdt, user, applied, cleared, newest, caughtUp, lostSince } = state;
  const cursor = cursors.find((one) => one.mdt === mdt);
  const recordTime = state.recordTime ?? cursor?.recordTime;
  return {
    ...{ mdt, user },
    applied: applied ?? null,
    cleared: cleared === 0 ? null : cleared,
    lag: {
      records: Math.max(0, (newest ?? 0) - (applied ?? newest ?? 0)),
      caughtUp,
      seconds: caughtUp || recordTime === undefined ? 0 : Math.max(0, Math.round((Date.now() - recordTime) / 1000)),
    },
    recordTime: recordTime === undefined ? null : new Date(recordTime).toISOString(),
    lostSince: lostSince === undefined ? null : new Date(lostSince).toISOString(),
    rescan: cursor?.rescan?.reason ?? null,
    missingTypes: cursor === undefined ? [] : missingTypes(cursor.types),
    unknownTypes: cursor === undefined ? [] : unknownTypes(cursor),
  };
}

/** Seconds since 1970 of what an MDT may have that was not read. */
function oldestUnread({ lag, recordTime }: MdtFigures): number | undefined {
  return lag.caughtUp || recordTime === null ? undefined : Math.floor(Date.parse(recordTime) / 1000);
}

function recoveryPoint(times: readonly (number | undefined)[]): FollowFigures['recoveryPoint'] {
  const known = times.filter((time) => time !== undefined);
  if (known.length === 0) return null;
  const oldest = Math.min(...known);
  return { since: iso(oldest) ?? '', ageSeconds: Math.max(0, Math.round(Date.now() / 1000 - oldest)) };
}

async function countUnnameable(catalog: Catalog): Promise<FollowFigures['unnameable']> {
  let count = 0;
  let after: Fid | undefined;
  for (let looked = 0; looked < MOST_LOOKED_AT; ) {
    const page = await catalog.quarantine(after, PAGE);
    count += page.filter(({ error }) => error?.startsWith(UNNAMEABLE) === true).length;
    looked += page.length;
    after = page.at(-1)?.fid;
    if (page.length < PAGE) return { count, atLeast: false };
  }
  return { count, atLeast: true };
}

function archiveFigures({ stores }: Foundation): FollowFigures['archives'] {
  return Object.fromEntries(
    [...stores].map(([id, store]) => {
      const { state, since, reason } = store.health;
      const expires = store.sas?.expires;
      const outage =
        state === 'down' && since !== undefined
          ? { outage: { since: new Date(since).toISOString(), reason: reason ?? '' } }
          : {};
      const ends = expires === undefined ? {} : { sasExpires: expires.toISOString() };
      return [String(id), { container: store.container, endpoint: store.endpoint, ...outage, ...ends }];
    }),
  );
}

function scanFigures({ scan }: Follower, cursors: readonly Cursor[]): FollowFigures['scan'] {
  const demanded = cursors.flatMap(({ rescan }) => (rescan === undefined ? [] : [rescan.reason]));
  const last = scan.running ? undefined : scan.summary;
  return {
    running: scan.running,
    reason: scan.running ? scan.reason : demanded.length === 0 ? null : demanded.join('; '),
    entries: scan.running ? (scan.progress?.().total ?? 0) : null,
    last:
      last === undefined
        ? null
        : {
            at: new Date(last.started + last.elapsed).toISOString(),
            outcome: last.outcome,
            seconds: Math.round(last.elapsed) / 1000,
          },
  };
}

function iso(seconds: number | undefined): string | null {
  return seconds === undefined ? null : new Date(seconds * 1000).toISOString();
}
