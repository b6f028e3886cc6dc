import { describe, expect, test } from 'vitest';
import {
  canArchive,
  canCancel,
  canRelease,
  canRemove,
  canRestore,
  describeState,
  HSM,
  type HsmState,
} from './hsm-state.ts';

const { EXISTS, DIRTY, RELEASED, ARCHIVED, NORELEASE, NOARCHIVE, LOST } = HSM;
const state = (states: number, archive = states === 0 ? 0 : 1): HsmState => ({ states, archive });
const said = (verdict: ReturnType<typeof canArchive>) =>
  'reason' in verdict ? `${verdict.verdict} ${verdict.reason}` : verdict.verdict;

/** A file in each state that the recordings show, and what may be asked for then. */
const TABLE: readonly (readonly [
  name: string,
  states: number,
  archive: string,
  restore: string,
  release: string,
  remove: string,
])[] = [
  ['new', 0, 'ask', 'settled ALREADY_RESIDENT', 'refused NEVER_ARCHIVED', 'settled NO_COPY'],
  ['archive not ended', EXISTS, 'ask', 'settled ALREADY_RESIDENT', 'refused NEVER_ARCHIVED', 'ask'],
  ['archived', EXISTS | ARCHIVED, 'settled ALREADY_ARCHIVED', 'settled ALREADY_RESIDENT', 'ask', 'ask'],
  ['dirty', EXISTS | DIRTY | ARCHIVED, 'ask', 'settled ALREADY_RESIDENT', 'refused DIRTY', 'ask'],
  [
    'dirty before its first archive ended',
    EXISTS | DIRTY,
    'ask',
    'settled ALREADY_RESIDENT',
    'refused NEVER_ARCHIVED',
    'ask',
  ],
  [
    'released',
    EXISTS | ARCHIVED | RELEASED,
    'settled ALREADY_RELEASED',
    'ask',
    'settled ALREADY_RELEASED',
    'refused ONLY_COPY',
  ],
  [
    'released and lost',
    EXISTS | ARCHIVED | RELEASED | LOST,
    'refused LOST',
    'refused LOST',
    'settled ALREADY_RELEASED',
    'refused ONLY_COPY',
  ],
  ['archived and lost', EXISTS | ARCHIVED | LOST, 'refused LOST', 'settled ALREADY_RESIDENT', 'refused LOST', 'ask'],
  [
    'never to be archived',
    NOARCHIVE,
    'refused NOARCHIVE',
    'settled ALREADY_RESIDENT',
    'refused NEVER_ARCHIVED',
    'settled NO_COPY',
  ],
  [
    'never to be released',
    EXISTS | ARCHIVED | NORELEASE,
    'settled ALREADY_ARCHIVED',
    'settled ALREADY_RESIDENT',
    'refused NORELEASE',
    'ask',
  ],
  [
    'released without exists',
    RELEASED | ARCHIVED,
    'settled ALREADY_RELEASED',
    'ask',
    'settled ALREADY_RELEASED',
    'refused ONLY_COPY',
  ],
  [
    'released without archived',
    RELEASED | EXISTS,
    'refused HALF_RELEASED',
    'refused HALF_RELEASED',
    'settled ALREADY_RELEASED',
    'refused ONLY_COPY',
  ],
];

describe('what may be asked for', () => {
  test.each(TABLE)('%s', (_, states, archive, restore, release, remove) => {
    const hsm = state(states);
    expect(said(canArchive(hsm))).toBe(archive);
    expect(said(canRestore(hsm))).toBe(restore);
    expect(said(canRelease(hsm))).toBe(release);
    expect(said(canRemove(hsm))).toBe(remove);
  });

  test('an empty file has nothing to release', () => {
    expect(said(canRelease(state(EXISTS | ARCHIVED), 0n))).toBe('settled EMPTY');
    expect(said(canRelease(state(EXISTS | ARCHIVED), 1n))).toBe('ask');
  });

  test('a file with a copy in one archive is not archived in another', () => {
    expect(said(canArchive(state(EXISTS | DIRTY | ARCHIVED, 2), 1))).toBe('refused OTHER_ARCHIVE');
    expect(said(canArchive(state(EXISTS | DIRTY | ARCHIVED, 2), 2))).toBe('ask');
    expect(said(canArchive(state(0, 2), 1))).toBe('ask');
  });

  test('only what waits or runs can be cancelled', () => {
    expect(said(canCancel({ action: 'NOOP', state: 'none', done: 0n }))).toBe('settled NO_ACTION');
    expect(said(canCancel({ action: 'RESTORE', state: 'waiting', done: 0n }))).toBe('ask');
    expect(said(canCancel({ action: 'ARCHIVE', state: 'running', done: 7n }))).toBe('ask');
    expect(said(canCancel({ action: 'ARCHIVE', state: 'done', done: 7n }))).toBe('settled NO_ACTION');
  });

  test('nothing that is released can lose its copy, whatever else is flagged', () => {
    for (let states = 0; states < 0x80; states++) {
      if ((states & RELEASED) !== 0) expect(canRemove(state(states)).verdict).toBe('refused');
    }
  });
});

test('states are named as lfs hsm_state names them', () => {
  expect(describeState(state(0))).toBe('none');
  expect(describeState(state(0x4d))).toBe('released exists archived lost_from_hsm');
  expect(describeState(state(0x0b))).toBe('exists dirty archived');
  expect(describeState(state(0x30))).toBe('never_release never_archive');
});
