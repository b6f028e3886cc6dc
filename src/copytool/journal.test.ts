import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseFid } from '../identity/fid.ts';
import type { HsmAction } from '../lustre/hsm-action.ts';
import type { Log } from '../service/log.ts';
import { JournalFile } from './journal.ts';

const FS = '11111111-2222-4333-8444-555555555555';
const said: string[] = [];
const note = (message: string) => {
  said.push(message);
};
const log: Log = { error: note, warn: note, info: note, debug: note, trace: note, child: () => log };

let directory: string;
let file: string;
beforeEach(() => {
  said.length = 0;
  directory = mkdtempSync(join(tmpdir(), 'journal-'));
  file = join(directory, 'copytool.journal');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const open = (over: { fs?: string; mount?: string; file?: string } = {}) =>
  JournalFile.open({ file, fs: FS, mount: '/mnt/lustre', log, ...over });

function action(n: number, over: Partial<HsmAction> = {}): HsmAction {
  const fid = parseFid(`0x200000401:0x${n.toString(16)}:0x0`);
  if (fid === undefined) throw new Error('no FID');
  return {
    action: 'RESTORE',
    fid,
    dfid: fid,
    cookie: 0xffff_ffff_ffff_fff0n + BigInt(n % 8),
    archive: 1,
    flags: 4,
    offset: 0n,
    length: 2n ** 64n - 1n,
    gid: 7n,
    data: Buffer.from([0, 255, 10, n & 255]),
    ...over,
  };
}

function journalLine(fields: unknown): string {
  const json = JSON.stringify(fields);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

const actions = (journal: JournalFile) => journal.unfinished.map((unfinished) => unfinished.action);

describe('a journal', () => {
  test('gives a later process every action that was taken and not ended, with all its fields', () => {
    const first = open();
    for (const n of [1, 2, 3]) first.taken(action(n));
    first.ended(action(2));
    first.adopted(action(3));
    first.close();
    const second = open();
    expect(actions(second)).toEqual([action(1), action(3)]);
    expect(second.unfinished.map(({ adoptions }) => adoptions)).toEqual([0, 1]);
    second.close();
  });

  test('tells actions of two metadata servers apart that have the same cookie', () => {
    const journal = open();
    journal.taken(action(1, { cookie: 5n }));
    journal.taken(action(2, { cookie: 5n }));
    journal.ended(action(1, { cookie: 5n }));
    expect(actions(journal)).toEqual([action(2, { cookie: 5n })]);
    journal.close();
  });

  test('has what was taken before anything else happens, without being closed', () => {
    const killed = open();
    killed.taken(action(1));
    expect(actions(open())).toEqual([action(1)]);
    killed.close();
  });

  test('torn at any byte, has every action whose line is whole, and is written on', () => {
    const journal = open();
    for (const n of [1, 2, 3]) journal.taken(action(n));
    journal.close();
    const whole = readFileSync(file);
    const ends = [...whole.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1);
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(file, whole.subarray(0, length));
      const torn = open();
      // The last line counts without its line end, too: its checksum is right.
      const lines = ends.filter((end) => end - 1 <= length).length;
      expect(actions(torn)).toEqual([1, 2, 3].slice(0, Math.max(lines - 1, 0)).map((n) => action(n)));
      torn.taken(action(9));
      torn.close();
      const later = open();
      expect(actions(later)).toContainEqual(action(9));
      later.close();
    }
  });

  test('of which a part was overwritten has the rest', () => {
    const journal = open();
    for (const n of [1, 2, 3]) journal.taken(action(n));
    journal.close();
    const content = readFileSync(file);
    const at = content.indexOf('0x200000401:0x2:0x0');
    content.fill(0, at, at + 4);
    writeFileSync(file, content);
    appendFileSync(file, Buffer.from([0, 0, 0, 10, 123, 10]));
    const later = open();
    expect(actions(later)).toEqual([action(1), action(3)]);
    expect(said).toContain('journal has lines that were not written to their end');
    later.close();
  });

  test.each([
    ['file system', { fs: '99999999-2222-4333-8444-555555555555' }],
    ['mount', { mount: '/mnt/other' }],
  ])('of another %s is set aside, and nothing of it is adopted', (_, other) => {
    const theirs = open();
    theirs.taken(action(1));
    theirs.close();
    const ours = open(other);
    expect(ours.unfinished).toEqual([]);
    ours.close();
    expect(readFileSync(`${file}.of-${FS}`, 'utf8')).toContain('0x200000401:0x1:0x0');
    expect(said).toContain('journal is of another file system or mount: its actions are not adopted');
  });

  test('of a later version is set aside whole, and started anew', () => {
    const lines = journalLine({ t: 'journal', v: 2, fs: FS, mount: '/mnt/lustre' }) + journalLine({ t: 'taken', x: 1 });
    writeFileSync(file, lines);
    const journal = open();
    expect(journal.unfinished).toEqual([]);
    journal.taken(action(1));
    journal.close();
    expect(readFileSync(`${file}.unreadable`, 'utf8')).toBe(lines);
    expect(actions(open())).toEqual([action(1)]);
  });

  test.each([null, 7, { t: 'taken', action: 'ARCHIVE' }, { t: 'news' }])(
    'with a whole line of another shape (%j) has the rest, and what was there is kept beside it',
    (odd) => {
      const first = open();
      first.taken(action(1));
      first.close();
      appendFileSync(file, journalLine(odd));
      const before = readFileSync(file);
      const later = open();
      expect(actions(later)).toEqual([action(1)]);
      later.close();
      expect(readFileSync(`${file}.unreadable`)).toEqual(before);
    },
  );

  test('that can’t be read is set aside, never thrown for', () => {
    mkdirSync(file);
    const journal = open();
    journal.taken(action(1));
    journal.close();
    expect(statSync(`${file}.unreadable`).isDirectory()).toBe(true);
    expect(actions(open())).toEqual([action(1)]);
  });

  test('has the actions of the new file, when a process was killed as the old one had been set aside', () => {
    const killed = open();
    killed.taken(action(1));
    killed.close();
    renameSync(file, `${file}.new`);
    writeFileSync(`${file}.unreadable`, 'what could not be read');
    // Nor does one that is killed while it starts lose them.
    open().close();
    const later = open();
    expect(actions(later)).toEqual([action(1)]);
    later.close();
    expect(readdirSync(directory).sort()).toEqual(['copytool.journal', 'copytool.journal.unreadable']);
  });

  test('stays small over a hundred thousand actions', () => {
    const journal = open();
    journal.taken(action(1));
    for (let n = 2; n < 100_000; n++) {
      journal.taken(action(n));
      journal.ended(action(n));
    }
    expect(statSync(file).size).toBeLessThan(3 << 20);
    expect(readdirSync(directory)).toEqual(['copytool.journal']);
    journal.close();
    const later = open();
    expect(actions(later)).toEqual([action(1)]);
    later.close();
  });

  test('that can’t be made is told of, and is no reason to refuse actions', () => {
    const journal = open({ file: join(directory, 'missing', 'copytool.journal') });
    journal.taken(action(1));
    expect(actions(journal)).toEqual([action(1)]);
    journal.ended(action(1));
    journal.close();
    expect(said.filter((line) => line.startsWith('journal could not be written'))).toHaveLength(1);
  });
});

describe.skipIf(process.getuid?.() !== 0)('on a disk that is full', () => {
  let disk: string;
  beforeEach(() => {
    disk = join(directory, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
  });
  afterEach(() => {
    execFileSync('umount', ['-l', disk]);
  });

  test('a journal says so once, loses nothing that it had, and is whole again when there is room', {
    timeout: 60_000,
  }, async () => {
    const journal = open({ file: join(disk, 'copytool.journal') });
    journal.taken(action(1));
    const filler = join(disk, 'filler');
    try {
      for (;;) appendFileSync(filler, Buffer.alloc(4096));
    } catch {
      // it is full
    }
    for (let n = 2; n < 200; n++) journal.taken(action(n));
    expect(said.filter((line) => line.startsWith('journal could not be written'))).toHaveLength(1);
    const meanwhile = readFileSync(join(disk, 'copytool.journal'), 'utf8');
    expect(meanwhile).toContain('0x200000401:0x1:0x0');
    rmSync(filler);
    // It is tried again at the next action, but not each time.
    for (let n = 0; !said.includes('journal can be written again'); n++) {
      expect(n).toBeLessThan(40);
      await new Promise((resolve) => setTimeout(resolve, 500));
      journal.taken(action(200));
    }
    for (let n = 20; n <= 200; n++) journal.ended(action(n));
    journal.close();
    const later = open({ file: join(disk, 'copytool.journal') });
    expect(actions(later)).toEqual(Array.from({ length: 19 }, (_, n) => action(n + 1)));
    later.close();
  });
});
