import { expect, test } from 'vitest';
import { healthOf } from './problems.ts';

type Facts = Parameters<typeof healthOf>[0];

/** Of a machine on which only the catalog has something to tell. */
function facts(scan: 'running' | 'not-running', outcome: string | undefined, scanned: string | null): Facts {
  const off = { available: false, code: 'NO', reason: '' };
  const none = { state: 'not-running' };
  const lastRuns = outcome === undefined ? [] : [{ kind: 'scan', started: '2026-11-29T01:00:00.000Z', outcome }];
  const known = {
    ...{ available: true, uuid: 'u', scanned, scanning: null, importing: null, lastRuns, brake: { engaged: false } },
    ...{ journal: { waiting: 0, quarantined: 0 }, files: { lost: { count: 0, bytes: 0 } } },
  };
  return {
    ...{ time: '2026-11-29T02:00:00.000Z', containers: [], coordinator: off, osts: off, policies: [], catalog: known },
    fileSystem: { available: true, uuid: 'u' },
    services: { copytool: none, 'changelog-follow': none, import: none, scan: { state: scan } },
    changelogs: [{ mdt: 'fs-MDT0000', lag: { available: true, records: 0, seconds: 0 }, rescan: 'a gap' }],
    recoveryPoint: { since: null, ageSeconds: 0, partial: true },
  } as unknown as Facts;
}

test.each([
  ['a scan is under way', 'running', 'partial', /^A scan is under way\.$/],
  ['the last one was partial', 'not-running', 'partial', /01:00:00.*could not read everything: `lfsazsync scan` says/],
  ['the last one was stopped', 'not-running', 'stopped', /goes on where one was stopped/],
  ['there was none', 'not-running', undefined, /running follower does it/],
] as const)('what is to be scanned, and %s', (_, scan, outcome, hint) => {
  const { problems } = healthOf(facts(scan, outcome, null));
  const told = problems.filter(({ code }) => code === 'RESCAN_NEEDED' || code === 'NEVER_SCANNED');
  expect(told.map(({ code }) => code)).toEqual(['RESCAN_NEEDED', 'NEVER_SCANNED']);
  for (const one of told) expect(one.hint).toMatch(hint);
});
