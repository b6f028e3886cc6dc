import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from './limits.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync('/tmp/lfsazsync-limits-');
});
afterEach(() => rmSync(dir, { recursive: true }));

function write(path: string, text: string): void {
  const file = join(dir, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${text}\n`);
}

/** /proc/PID/limits and /proc/PID/cgroup, as proc(5) has them. */
function given(files: string, processes: string, cgroup: string): void {
  const line = (name: string, soft: string) => `${name.padEnd(26)}${soft.padEnd(21)}unlimited            things`;
  write('proc/limits', [line('Max processes', processes), line('Max open files', files)].join('\n'));
  write('proc/cgroup', cgroup);
}

const look = () => limits(join(dir, 'proc'), join(dir, 'cgroup'));

test('enough of both', async () => {
  given('65536', '96365', '0::/system.slice/lfsazsync.service');
  write('cgroup/system.slice/lfsazsync.service/pids.max', 'max');
  expect(await look()).toEqual({
    status: 'ok',
    evidence: '65536 open files, 96365 processes and threads of a user',
  });
});

test('too few files, too few threads of a user: one line says how to raise both', async () => {
  given('1024', '200', '');
  const { status, fix } = await look();
  expect(status).toBe('warning');
  expect(fix).toMatch(/LimitNOFILE.*LimitNPROC/);
});

test.each([
  ['v2', '0::/a/b', 'cgroup'],
  ['v1', '4:memory:/elsewhere\n3:pids:/a/b\n0::/', 'cgroup/pids'],
])('the control group of cgroup %s that leaves least room counts, also one further up', async (_, cgroup, top) => {
  given('unlimited', 'unlimited', cgroup);
  write(`${top}/a/b/pids.max`, '5000');
  write(`${top}/a/b/pids.current`, '20');
  expect((await look()).status).toBe('ok');
  write(`${top}/a/pids.max`, '600');
  write(`${top}/a/pids.current`, '590');
  expect(await look()).toMatchObject({
    status: 'warning',
    evidence: expect.stringContaining('600 processes and threads of the control group /a, 590 in use'),
    fix: expect.stringContaining('TasksMax'),
  });
  write(`${top}/a/pids.max`, 'max');
  expect((await look()).status).toBe('ok');
});

test('limits of another form are unknown', async () => {
  write('proc/limits', 'nothing of the kind');
  expect((await look()).status).toBe('unknown');
});
