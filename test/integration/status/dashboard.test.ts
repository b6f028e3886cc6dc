import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { executable } from '../../support/project.ts';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';
import { Terminal } from '../../support/terminal.ts';
import { waitUntil } from '../../support/wait.ts';

/** The dashboard in a real terminal. What its panes show is in src/status/dashboard/dashboard.test.tsx. */

let sandbox: Sandbox;
let terminal: Terminal;

beforeAll(async () => {
  sandbox = await startSandbox({ standInOnly: true });
  await sandbox.startCopytool();
  mkdirSync(join(sandbox.tree, 'project'));
  writeFileSync(join(sandbox.tree, 'project', 'held'), 'x'.repeat(100_000));
  expect(await sandbox.run(['scan'])).toMatchObject({ exitCode: 0 });
});
afterAll(() => sandbox?.stop());
afterEach(() => terminal?.close());

function open(columns: number, rows: number, env: Record<string, string> = {}): void {
  terminal = new Terminal({ columns, rows }, { ...process.env, ...sandbox.env, ...env });
  terminal.send(`echo before; ${executable} status --timeout 60; echo "ended with $?"`, 'Enter');
}

const lines = () => terminal.screen().split('\n');

test.each([
  [80, 24],
  [160, 50],
])('at %i x %i: everything fits, keys work, and the terminal is left as it was', async (columns, rows) => {
  open(columns, rows);
  await terminal.sees('NEEDS ATTENTION', 'running here: copytool', '1 overview', 'Services');
  expect(Math.max(...lines().map((line) => line.length))).toBeLessThan(columns);
  expect(lines()[0]).toContain('NEEDS ATTENTION');
  expect(lines().filter((line) => line.includes('1 overview'))).toHaveLength(1);
  // All keys, and all that is to be done, are to be read: nothing of it is cut off.
  await terminal.sees('q quit', 'elsewhere this is in order.');
  terminal.send('4');
  await terminal.sees(/new +1 +97\.6KiB/, /lustrefs-OST0001 .* free$/m);
  terminal.send('Tab');
  await terminal.sees(/scan +\/ /);
  terminal.send('q');
  await terminal.sees('before', 'ended with 0');
  expect(terminal.screen()).not.toContain('overview');
  expect(terminal.value('#{alternate_on} #{cursor_flag}')).toBe('0 1');
  // What is typed is shown again.
  terminal.send('echo typed', 'Enter');
  await terminal.sees('echo typed\n');
});

test('a pause is asked for once more, and does what it says; an action under way is cancelled', async () => {
  open(120, 30);
  await terminal.sees('Throughput');
  terminal.send('p');
  await terminal.sees('Pause archives, restores and removals? (y');
  terminal.send('y');
  await terminal.sees('paused: nothing begins', 'PAUSED');
  const path = join(sandbox.tree, 'project', 'held');
  expect(await sandbox.lfs(['hsm_archive', path])).toMatchObject({ exitCode: 0 });
  terminal.send('2');
  await terminal.sees(/> archive +paused .* 0x/);
  terminal.send('c');
  await terminal.sees(/Cancel the action on 0x.*\?/);
  terminal.send('y');
  await terminal.sees('asked Lustre to cancel', /Under way\s+nothing/);
  terminal.send('r');
  await waitUntil('nothing is paused', async () => {
    const { stdout } = await sandbox.run(['copytool', 'ctl', 'status', '--json']);
    return Object.keys((JSON.parse(stdout) as { paused: object }).paused).length === 0;
  });
  terminal.send('C-c');
  await terminal.sees('ended with 0');
});

test('it follows the size of the terminal', async () => {
  open(160, 50);
  await terminal.sees('Throughput');
  terminal.resize({ columns: 80, rows: 24 });
  await waitUntil('it fits', () => lines()[0]?.includes('NEEDS ATTENTION') && lines()[22]?.includes('1-5 tab panes'), {
    detail: () => terminal.screen(),
  });
  expect(lines().filter((line) => line.includes('1 overview'))).toHaveLength(1);
  terminal.send('Escape');
  await terminal.sees('ended with 0');
});

test.each([
  ['1', 0],
  ['', 1],
])('with NO_COLOR=%j there are %i or more colours', async (value, least) => {
  open(100, 30, { NO_COLOR: value });
  await terminal.sees('Throughput');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  const colours = terminal.screen(true).match(/\u001b\[(?:[\d;]*;)?(?:3[1-7]|4[1-7]|9[0-7])(?:;[\d;]*)?m/g) ?? [];
  expect(Math.min(colours.length, 1)).toBe(least);
  terminal.send('q');
  await terminal.sees('ended with 0');
});

test('what is not a terminal gets text once', async () => {
  terminal = new Terminal({ columns: 100, rows: 50 }, { ...process.env, ...sandbox.env });
  terminal.send(`${executable} status --timeout 60 | cat; echo "ended with $?"`, 'Enter');
  await terminal.sees('SERVICE', 'ended with 0');
  terminal.send(`clear; ${executable} status --plain --timeout 60; echo "ended with $?"`, 'Enter');
  await terminal.sees('SERVICE', 'ended with 3');
});
