import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { Cursor, Run, Usage } from '../catalog/types.ts';
import { importBegan } from '../import/session.ts';
import { hasCopy, isArchived, isDirty, isLost, isReleased } from '../lustre/hsm-state.ts';
import { type JournalRow, journalRows } from './journal.ts';
import { type Amount, type CatalogStatus, FILE_STATES, type FileState, RUN_NAMES, type RunStatus } from './types.ts';

const RUNS = 20;
/** Among so many there is one of each policy that runs at all. */
const POLICY_RUNS = 1_000;
/** Among the last so many of a kind there is one that has ended: few are killed or under way. */
const OTHER_RUNS = 10;
const EVENTS = 50;
const QUARANTINE = 20;

/** What the catalog says, and how far each MDT's changelog is taken in. */
export interface CatalogFacts {
  readonly status: CatalogStatus;
  readonly cursors: readonly Cursor[];
  /** The last run of each policy, by its name. */
  readonly lastPolicyRuns: ReadonlyMap<string, RunStatus>;
  /** Seconds since 1970 of the oldest change that waits in the catalog. */
  readonly oldestChange: number | undefined;
}

/** Reads the catalog, which needs nobody to run and keeps nobody waiting. @throws OperatorError: there is none, it is damaged, … */
export async function readCatalog(stateDir: string): Promise<CatalogFacts> {
  const catalog = openCatalog({ file: catalogFile(stateDir), readOnly: true });
  try {
    return await factsOf(catalog);
  } finally {
    catalog.close();
  }
}

async function factsOf(catalog: Catalog): Promise<CatalogFacts> {
  const [uuid, scanned, scanning, importing, usage, marks, journal, dead, runs, policyRuns, events, cursors] =
    await Promise.all([
      catalog.fileSystem(),
      catalog.lastScan(),
      catalog.scanning(),
      importBegan(catalog),
      catalog.usage(),
      catalog.markStats(),
      catalog.journalStats(),
      catalog.deaths(0),
      catalog.runs(undefined, RUNS),
      catalog.runs('policy', POLICY_RUNS),
      catalog.events(EVENTS),
      catalog.cursors(),
    ]);
  const quarantine: JournalRow[] = [];
  if (journal.quarantined > 0) {
    for await (const row of journalRows(catalog, { quarantinedOnly: true, limit: QUARANTINE })) quarantine.push(row);
  }
  const otherRuns = await Promise.all(RUN_NAMES.map((kind) => catalog.runs(kind, OTHER_RUNS)));
  const count = (...types: string[]) =>
    usage.filter(({ type }) => types.includes(type)).reduce((sum, one) => sum + Number(one.count), 0);
  return {
    cursors,
    // The latest come first.
    lastPolicyRuns: new Map(policyRuns.toReversed().map((run) => [run.name, runStatus(run)])),
    oldestChange: [marks.oldest, journal.oldestWaiting].filter((time) => time !== undefined).sort((a, b) => a - b)[0],
    status: {
      file: catalog.file,
      uuid: uuid ?? null,
      scanned: ofMs(scanned),
      scanning: ofMs(scanning),
      importing: ofSeconds(importing),
      files: filesByState(usage),
      directories: count('dir'),
      symlinks: count('symlink'),
      special: count('fifo', 'chr', 'blk', 'sock'),
      marks: { count: marks.count, oldest: ofSeconds(marks.oldest) },
      journal: {
        waiting: journal.count - journal.quarantined,
        quarantined: journal.quarantined,
        oldest: ofSeconds(journal.oldest),
      },
      quarantine,
      tombstones: { count: dead.count, bytes: dead.bytes, oldest: ofSeconds(dead.oldest) },
      runs: runs.map(runStatus),
      lastRuns: [...lastEnded(policyRuns), ...otherRuns.flatMap((all) => lastEnded(all).slice(0, 1))].map(runStatus),
      events: events.map(({ at, level, kind, message, run, fid }) => ({
        ...{ at: new Date(at).toISOString(), level, kind, message },
        ...(run === undefined ? {} : { run }),
        ...(fid === undefined ? {} : { fid }),
      })),
    },
  };
}

/** Of each name the last that has ended; the latest first, as they are given. */
function lastEnded(runs: readonly Run[]): Run[] {
  const last = new Map<string, Run>();
  for (const run of runs) if (run.ended !== undefined && !last.has(run.name)) last.set(run.name, run);
  return [...last.values()];
}

function runStatus({ id, kind, name, detail, started, ended, outcome }: Run): RunStatus {
  return {
    ...{ id, kind, name, detail },
    started: new Date(started).toISOString(),
    ended: ofMs(ended),
    outcome: outcome ?? null,
  };
}

/** Files and bytes by HSM state. */
export function filesByState(usage: readonly Usage[]): Readonly<Record<FileState, Amount>> {
  const sums = Object.fromEntries(FILE_STATES.map((state) => [state, { count: 0, bytes: 0 }])) as Record<
    FileState,
    { count: number; bytes: number }
  >;
  for (const { type, hsm, archive, count, bytes } of usage) {
    if (type !== 'file') continue;
    const sum = sums[stateOf({ states: hsm, archive })];
    sum.count += Number(count);
    sum.bytes += Number(bytes);
  }
  return sums;
}

function stateOf(hsm: { states: number; archive: number }): FileState {
  if (isLost(hsm)) return 'lost';
  if (isReleased(hsm)) return 'released';
  if (isArchived(hsm)) return isDirty(hsm) ? 'modified' : 'archived';
  return hasCopy(hsm) ? 'unfinished' : 'new';
}

const ofMs = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());
const ofSeconds = (seconds: number | undefined): string | null =>
  ofMs(seconds === undefined ? undefined : seconds * 1000);
