import { render } from 'ink-testing-library';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CopytoolFigures, KindFigures } from '../../copytool/figures.ts';
import { parseFid } from '../../identity/fid.ts';
import type { StatusSnapshot } from '../types.ts';
import { Dashboard } from './dashboard.tsx';
import { marksFor } from './marks.ts';
import type { Steering } from './steering.ts';

const NOTHING: KindFigures = {
  ...{ taken: 0, queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, bytes: 0, moved: 0 },
};
const SLOW = { '10s': 1024, '1m': 0, '5m': 0 };
const fid = (number: number) => parseFid(`0x200000401:0x${number.toString(16)}:0x0`) ?? '';

const figures = {
  process: { pid: 4711, uptimeSeconds: 61 },
  lustre: { registered: true },
  paused: {},
  actions: { archive: { ...NOTHING, running: 2, failed: 3 }, restore: NOTHING, remove: NOTHING },
  rates: {
    bytesPerSecond: { archive: SLOW, restore: SLOW, remove: SLOW },
    filesPerSecond: { archive: SLOW, restore: SLOW, remove: SLOW },
  },
  queue: { queued: 0, running: 2, waiting: 0, oldestSeconds: 5 },
  errors: { stranger: 3 },
  retries: {},
  lastFailures: [
    {
      ...{
        at: '2026-01-01T11:59:00.000Z',
        kind: 'archive',
        archive: 1,
        fid: fid(7),
        path: 'project/odd',
        code: 'stranger',
      },
      ...{ reason: 'a blob that lfsazsync did not write has the name', hint: 'Move or delete it.' },
    },
  ],
  inFlight: Array.from({ length: 60 }, (_, number) => ({
    ...{ kind: 'archive', archive: 1, fid: fid(number + 1), cookie: String(number), state: 'running' },
    ...{
      path: `project/file-${number}`,
      moved: 512,
      size: 1024,
      ageSeconds: 5,
      runningSeconds: 4,
      bytesPerSecond: 100,
    },
  })),
  actionsOmitted: 0,
} as unknown as CopytoolFigures;

const snapshot: StatusSnapshot = {
  ...{ schema: 1, time: '2026-01-01T12:00:00.000Z', host: 'node-1', version: '1.2.3', mount: '/mnt/lustre' },
  health: {
    state: 'error',
    problems: [
      { severity: 'error', code: 'NETWORK', message: 'archive 1 can’t be reached', hint: 'See the network.' },
      { severity: 'warning', code: 'OST_FULL', message: 'OST0001 is 91.0 % full' },
    ],
  },
  services: {
    copytool: { state: 'running', figures },
    'changelog-follow': { state: 'not-running' },
    scan: { state: 'unavailable', code: 'SERVICE_SILENT', reason: 'the scan does not answer' },
    sweep: { state: 'not-running' },
    import: { state: 'not-running' },
    verify: { state: 'running', figures: { pid: 99, since: '2026-01-01T11:00:00.000Z', path: '/mnt/lustre' } },
  },
  fileSystem: { available: true, fsname: 'lustre', llapi: '2.15.5', uuid: 'u' },
  coordinator: {
    available: true,
    mdts: [{ mdt: 'lustre-MDT0000', control: 'disabled', active: 3, maxRequests: 384 }],
    agents: [
      { archive: 1, count: 2 },
      { archive: 2, count: 0 },
    ],
  },
  containers: [{ archive: 1, endpoint: 'https://a', container: 'c', state: 'unreachable', code: 'NETWORK' }],
  changelogs: [
    {
      ...{ mdt: 'lustre-MDT0000', user: 'cl1', applied: 7, from: 'mdt', rescan: 'records are missing' },
      lag: { available: true, records: 1234, seconds: 90 },
    },
  ],
  recoveryPoint: { since: '2026-01-01T11:58:30.000Z', ageSeconds: 90, partial: true },
  policies: [
    {
      ...{ policy: 'archive', triggers: ['every 5m'], next: '2026-01-01T12:04:00.000Z', by: 'timer' },
      last: { started: '2026-01-01T11:00:00.000Z', ended: '2026-01-01T11:01:00.000Z', outcome: 'complete' },
      running: null,
    },
    {
      ...{ policy: 'release', triggers: ['an OST at 85 %'], last: null, next: null, by: null },
      running: { pid: 4242, since: '2026-01-01T11:59:00.000Z' },
    },
  ],
  catalog: {
    available: true,
    ...{
      file: '/var/lib/lfsazsync/catalog.db',
      uuid: 'u',
      scanned: '2026-01-01T00:00:00.000Z',
      scanning: null,
      importing: null,
    },
    files: {
      new: { count: 10, bytes: 1024 },
      modified: { count: 0, bytes: 0 },
      archived: { count: 5, bytes: 1024 },
      released: { count: 5, bytes: 2048 },
      unfinished: { count: 0, bytes: 0 },
      lost: { count: 1, bytes: 1 },
    },
    ...{ directories: 3, symlinks: 2, special: 1 },
    marks: { count: 4, oldest: null },
    journal: { waiting: 6, quarantined: 1, oldest: null },
    quarantine: [
      {
        ...{
          fid: parseFid('0x200000401:0x99:0x0') as never,
          path: 'odd/name',
          state: 'quarantined',
          reasons: ['names'],
        },
        ...{ since: '', notBefore: null, tries: 12, error: 'a stranger’s blob', quarantinedAt: '' },
      },
    ],
    tombstones: { count: 9, bytes: 4096, oldest: null },
    runs: [
      {
        ...{ id: 1, kind: 'policy', name: 'archive', outcome: 'complete', detail: {} },
        ...{ started: '2026-01-01T11:00:00.000Z', ended: '2026-01-01T11:01:00.000Z' },
      },
    ],
    lastRuns: [],
    events: [{ at: '2026-01-01T11:30:00.000Z', level: 'error', kind: 'x', message: 'something went wrong' }],
  },
  osts: {
    available: true,
    targets: [{ index: 1, name: 'lustre-OST0001', used: 91, available: 9, percent: 91 }],
    ...{ high: 85, low: 80 },
  },
};

let asked: string[];
const steering: Steering = {
  pause: async () => `${asked.push('pause')} paused`,
  resume: async () => `${asked.push('resume')} resumed`,
  cancel: async (target) => `${asked.push(`cancel ${target}`)} cancelled`,
  retry: async (target) => `${asked.push(`retry ${target ?? 'all'}`)} tried again`,
};

let shown: ReturnType<typeof render>;
beforeEach(() => {
  asked = [];
});
afterEach(() => shown.unmount());

function start(plain = true, gather = async () => snapshot): void {
  const marks = marksFor({ LANG: 'C.UTF-8' });
  shown = render(<Dashboard gather={gather} steering={steering} interval={20} marks={marks} plain={plain} />);
}

const frame = () => shown.lastFrame() ?? '';

async function sees(...texts: (string | RegExp)[]): Promise<void> {
  await expect
    .poll(() => texts.filter((text) => (typeof text === 'string' ? !frame().includes(text) : !text.test(frame()))), {
      timeout: 10_000,
    })
    .toEqual([]);
}

/** A key at a time, each when what the last one did is to be seen. */
async function press(key: string, ...texts: (string | RegExp)[]): Promise<void> {
  shown.stdin.write(key);
  await sees(...texts);
}

test('health at a glance, with what to do', async () => {
  start();
  await sees('IN TROUBLE', '1 error, 1 warning', '/mnt/lustre (lustre) on node-1');
  await sees('error: archive 1 can’t be reached', '  See the network.', 'process 4711, up 1m1s');
  await sees(/changelog-follow +not running/, /scan +the scan does not answer/, 'unreachable (NETWORK)', '2 at work');
});

test('coordinator and agents, or that a client can’t see them', async () => {
  start();
  await sees(
    /coordinator +disabled +3 of 384 actions at work, lustre-MDT0000/,
    /agents +archive 1: 2, archive 2: none/,
  );
  shown.unmount();
  const coordinator = { available: false, code: 'NOT_SEEN', reason: 'not to be seen from here' } as const;
  start(true, async () => ({ ...snapshot, coordinator }));
  await sees(/coordinator +not to be seen from here/);
});

test('every pane shows its own', async () => {
  start();
  await sees('IN TROUBLE');
  await press('2', 'project/file-0', '50 %', '100B/s');
  await press('3', '1234', 'to be scanned again: records are missing', 'odd/name', 'a stranger’s blob', '9 dead kept');
  await press('4', /released +5 +2KiB/, '91.0 %', 'released from 85 % on, down to 80 %');
  await press(
    '5',
    'something went wrong',
    /archive +every 5m +1h ago +complete +in 4m \(timer\)/,
    /release +an OST at 85 % +now, for 1m +process 4242/,
    /policy +archive +2026-01-01 11:00:00 +1m +complete/,
  );
  await press('\t', 'error: archive 1');
});

test('actions are chosen, and cancelled when asked for once more', async () => {
  start();
  await sees('IN TROUBLE');
  await press('c', 'Choose an action');
  await press('2', /> archive .*file-0\b/);
  await press('j', /> archive .*file-1\b/);
  await press('c', 'Cancel the action on project/file-1?');
  await press('n', 'tab panes');
  expect(asked).toEqual([]);
  await press('c', 'Cancel the action');
  await press('y', '1 cancelled');
  expect(asked).toEqual([`cancel ${fid(2)}`]);
});

test('a filter leaves of lists what fits', async () => {
  start();
  await sees('IN TROUBLE');
  await press('2', 'file-0');
  await press('/', 'filter:');
  for (const key of 'E-5') shown.stdin.write(key);
  await sees('filter: E-5', 'file-5', 'file-55');
  expect(frame()).not.toContain('file-0');
  await press('\r', 'tab panes');
  // Escape drops what was kept, and leaves only when there is none.
  await press('\u001b', 'file-0');
  expect(frame()).not.toContain('filter:');
  await press('q', '');
});

test('lists scroll, as far as there is something', async () => {
  start();
  await sees('IN TROUBLE');
  await press('2', 'file-0', '↓');
  await press('G', 'stranger', '11:59:00 archive stranger', '  Move or delete it.', '↑');
  await press('g', /> archive .*file-0\b/);
});

test('pause is asked for once more, resume is not; the quarantine is tried again', async () => {
  start();
  await sees('IN TROUBLE');
  await press('p', 'Pause archives, restores and removals?');
  await press('y', '1 paused');
  await press('r', '2 resumed');
  await press('t', 'Try everything again');
  await press('y', '3 tried again');
  await press('3', '> names');
  await press('t', '4 tried again');
  expect(asked).toEqual(['pause', 'resume', 'retry all', `retry ${parseFid('0x200000401:0x99:0x0')}`]);
});

test('what can’t be done is said, and what can’t be looked at leaves the last picture', async () => {
  let looks = 0;
  start(true, async () => {
    looks += 1;
    if (looks > 1) throw new Error('no more');
    return snapshot;
  });
  await sees('IN TROUBLE', '(no more)', 'process 4711');
});
