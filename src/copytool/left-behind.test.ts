import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Log } from '../service/log.ts';
import { JournalFile } from './journal.ts';
import { takeLeft } from './left-behind.ts';

const said: string[] = [];
const note = (message: string) => {
  said.push(message);
};
const log: Log = { error: note, warn: note, info: note, debug: note, trace: note, child: () => log };

let directory: string;
let file: string;
let journal: JournalFile;
beforeEach(() => {
  said.length = 0;
  directory = mkdtempSync(join(tmpdir(), 'left-'));
  file = join(directory, 'left');
  journal = JournalFile.open({
    file: join(directory, 'journal'),
    fs: '11111111-2222-4333-8444-555555555555',
    mount: '/mnt/lustre',
    log,
  });
});
afterEach(() => {
  journal.close();
  rmSync(directory, { recursive: true, force: true });
});

const event = (cookie: number) =>
  JSON.stringify({
    ...{ t: 'action', action: 'ARCHIVE', fid: '0x200000401:0x1:0x0', dfid: '0x200000401:0x1:0x0' },
    ...{ cookie: String(cookie), archive: 1, flags: 0, offset: '0', length: '18446744073709551615', gid: '0' },
  });
const cookies = () => journal.unfinished.map(({ action }) => action.cookie);

test('what was left is taken up once, and the file goes', async () => {
  writeFileSync(file, `\n${event(1)}\n\n${event(2)}\n${event(1)}\n`);
  await takeLeft(file, journal, log);
  expect(cookies()).toEqual([1n, 2n]);
  expect(existsSync(file)).toBe(false);
  expect(said).toEqual([]);
});

test('a torn line, or one that is no action, loses only itself', async () => {
  writeFileSync(file, `${event(1)}\n${event(2).slice(0, 40)}\n{"t":"action"}\nnull\n${event(3)}\n`);
  await takeLeft(file, journal, log);
  expect(cookies()).toEqual([1n, 3n]);
  expect(existsSync(file)).toBe(false);
  expect(said).toHaveLength(1);
});
