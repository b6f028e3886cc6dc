import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { type HelperOptions, HelperProcess } from './helper.ts';

const HELLO = {
  t: 'hello',
  protocol: 1,
  helper: '0.1.0',
  mode: 'attrs',
  llapi: '2.15.5',
  lib: '/l',
  mount: '/m',
  fsname: 'fs',
};

/** A program that speaks the helper's protocol as the test wants it: `body` sees `say`, `lines` and `process`. */
let folder: string;
let program: string;
const helperThat = (body: string) => {
  writeFileSync(
    program,
    `#!${process.execPath}
const say = (line) => process.stdout.write(typeof line === 'string' ? line : JSON.stringify(line) + '\\n');
const hello = () => say(${JSON.stringify(HELLO)});
const requests = (take) => require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => take(JSON.parse(line)));
${body}
`,
  );
  chmodSync(program, 0o755);
};
const start = (options: Partial<HelperOptions> = {}) =>
  HelperProcess.start({ mode: 'attrs', mount: '/m', helper: program, ...options });
const failure = async (promise: Promise<unknown>) =>
  await promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const drain = async (events: AsyncIterable<unknown>) => {
  for await (const _ of events);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lfsazsync-test-'));
  program = join(folder, 'helper');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a start that fails', () => {
  test.each([
    [
      { code: 'NOT_LUSTRE', rc: -19, message: 'x' },
      { code: 'NOT_LUSTRE', exit: 'failed', hint: /setting mount/ },
    ],
    [
      {
        code: 'NOT_LUSTRE',
        rc: -2,
        message: '/mnt/a is in a Lustre file system (fs), but is not the root of its mount',
      },
      { code: 'NOT_LUSTRE', exit: 'failed', hint: /mount point itself/ },
    ],
    [
      { code: 'REGISTER_FAILED', rc: -1, message: 'x' },
      { code: 'REGISTER_FAILED', exit: 'notAuthorised', hint: /root squash/ },
    ],
    [
      { code: 'NO_LIBRARY', rc: -2, message: 'x' },
      { code: 'NO_LIBRARY', exit: 'failed', hint: /liblustreapi/ },
    ],
    [
      { code: 'LIBRARY_UNFIT', rc: -22, message: 'x' },
      { code: 'LIBRARY_UNFIT', exit: 'failed', hint: /2\.12/ },
    ],
    [
      { code: 'LOCKED', rc: -11, message: 'x', holder: 4711 },
      { code: 'LOCKED', exit: 'locked', hint: /one copytool/i },
    ],
    [
      { code: 'NOT_ROOT', rc: -1, message: 'x' },
      { code: 'NOT_ROOT', exit: 'notAuthorised', hint: /root/ },
    ],
    [
      { code: 'REGISTER_FAILED', rc: -17, message: 'x' },
      { code: 'REGISTER_FAILED', exit: 'failed', hint: /coordinator/ },
    ],
  ])('%j', async (fatal, { code, exit, hint }) => {
    helperThat(`say(${JSON.stringify({ t: 'fatal', ...fatal })}); process.exitCode = 1;`);
    const error = await failure(start());
    expect(error).toBeInstanceOf(OperatorError);
    expect(error).toMatchObject({ code, exit, hint: expect.stringMatching(hint) });
  });

  test('names the process that holds the lock', async () => {
    helperThat(`say({ t: 'fatal', code: 'LOCKED', rc: -11, message: '', holder: 4711 })`);
    expect(await failure(start())).toMatchObject({ message: expect.stringContaining('process 4711') });
  });

  test('a helper of another protocol, one that dies, one that is silent, one that is no helper', async () => {
    helperThat(`say({ ...${JSON.stringify(HELLO)}, protocol: 2 }); process.stdin.resume();`);
    expect(await failure(start())).toMatchObject({ code: 'HELPER_UNFIT' });
    helperThat(`process.stderr.write('no way\\n', () => process.exit(3));`);
    expect(await failure(start())).toMatchObject({
      code: 'HELPER_FAILED',
      message: expect.stringMatching(/status 3.*no way/),
    });
    helperThat(`process.stdin.resume();`);
    expect(await failure(start({ startTimeout: 200 }))).toMatchObject({ code: 'HELPER_FAILED' });
    helperThat(`say('Usage: something else\\n'); process.stdin.resume();`);
    expect(await failure(start())).toMatchObject({ code: 'HELPER_FAILED' });
    writeFileSync(program, 'not a program');
    chmodSync(program, 0o644);
    expect(await failure(start())).toMatchObject({ code: 'HELPER_MISSING' });
  });
});

describe('requests', () => {
  test('replies find their request in whatever order they come', async () => {
    helperThat(`hello(); const held = [];
      requests((request) => { held.push(request); if (held.length === 3) for (const { n, fid } of held.reverse()) say({ t: 'reply', n, rc: 0, fid }); });`);
    const helper = await start();
    const fids = await Promise.all(['a', 'b', 'c'].map((fid) => helper.request<{ fid: string }>('get', { fid })));
    expect(fids.map(({ fid }) => fid)).toEqual(['a', 'b', 'c']);
    await helper.close();
  });

  test('an rc is an ErrnoError, and the helper goes on', async () => {
    helperThat(
      `hello(); requests(({ n, op }) => say({ t: 'reply', n, rc: op === 'end' ? -16 : 0, error: 'ending' }));`,
    );
    const helper = await start();
    const error = await failure(helper.request('end', {}));
    expect(error).toBeInstanceOf(ErrnoError);
    expect(error).toMatchObject({ errno: 16, message: expect.stringMatching(/ending.*EBUSY/) });
    await helper.request('get', {});
    await helper.close();
  });

  test('its death fails what is outstanding, the events and all that comes later, with one error', async () => {
    helperThat(`hello(); requests(() => { process.stderr.write('oh no\\n'); process.kill(process.pid, 'SIGKILL'); });`);
    const helper = await start();
    const events = failure(drain(helper.events));
    const [first, second] = await Promise.all([failure(helper.request('get', {})), failure(helper.request('get', {}))]);
    expect(first).toMatchObject({ code: 'HELPER_GONE', message: expect.stringMatching(/SIGKILL/) });
    expect(second).toBe(first);
    expect(await events).toBe(first);
    expect(await failure(helper.request('get', {}))).toBe(first);
    await helper.close();
  });

  test('a line that is not of the protocol ends the helper', async () => {
    helperThat(`hello(); requests(() => say('{"t":"reply","n":1,\\n'));`);
    const helper = await start();
    expect(await failure(helper.request('get', {}))).toMatchObject({
      message: expect.stringContaining('not of its protocol'),
    });
    await helper.close();
  });

  test('a line without an end is not collected for ever', async () => {
    helperThat(`hello(); requests(() => { const piece = 'x'.repeat(1 << 20); setInterval(() => say(piece), 1); });`);
    const helper = await start();
    expect(await failure(helper.request('get', {}))).toMatchObject({ message: expect.stringContaining('longer than') });
    await helper.close();
  });

  test('close lets the helper finish, then refuses requests', async () => {
    helperThat(`hello(); requests(({ n }) => setTimeout(() => say({ t: 'reply', n, rc: 0 }), 100));`);
    const helper = await start();
    const last = helper.request('get', {});
    await helper.close();
    await expect(last).resolves.toMatchObject({ rc: 0 });
    expect(await failure(helper.request('get', {}))).toBeInstanceOf(Error);
  });

  test('a helper that does not leave is killed', async () => {
    helperThat(`hello(); process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`);
    const helper = await start({ closeTimeout: 100 });
    await helper.close();
    expect(() => process.kill(helper.pid, 0)).toThrow(/ESRCH/);
  });
});

describe('events', () => {
  test('come in order, those before the first look too; close ends them', async () => {
    helperThat(`hello(); for (let i = 0; i < 100; i++) say({ t: 'action', i }); process.stdin.resume();`);
    const helper = await start();
    const seen: unknown[] = [];
    for await (const event of helper.events) {
      seen.push(event['i']);
      if (seen.length === 100) void helper.close();
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  test('a slow reader holds the helper back, and loses nothing', async () => {
    // The helper counts what it could write: far less than all while nobody reads.
    helperThat(`hello(); let i = 0; let most = 0;
      const pump = () => { while (i < 20000) { i += 1; if (!process.stdout.write(JSON.stringify({ t: 'action', i, pad: 'x'.repeat(200) }) + '\\n')) return void process.stdout.once('drain', pump); } };
      pump(); requests(({ n }) => say({ t: 'reply', n, rc: 0, written: i }));`);
    const helper = await start({ eventBuffer: 16 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const held = await helper.request<{ written: number }>('get', {});
    expect(held.written).toBeLessThan(20_000);
    let count = 0;
    for await (const event of helper.events) {
      count += 1;
      expect(event['i']).toBe(count);
      if (count === 20_000) break;
    }
    await helper.close();
  });

  test('a reader that asks before it reads on does not block itself', async () => {
    helperThat(
      `hello(); for (let i = 0; i < 500; i++) say({ t: 'action', i }); requests(({ n }) => say({ t: 'reply', n, rc: 0 }));`,
    );
    const helper = await start({ eventBuffer: 4 });
    let count = 0;
    for await (const _ of helper.events) {
      await helper.request('begin', {});
      count += 1;
      if (count === 500) break;
    }
    await helper.close();
  });
});
