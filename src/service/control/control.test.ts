import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../test/support/silent-log.ts';
import { waitUntil } from '../../../test/support/wait.ts';
import { OperatorError } from '../errors.ts';
import { askService, type ControlTarget } from './client.ts';
import { ControlServer } from './server.ts';
import { socketName } from './socket-path.ts';

let directory: string;
const servers: ControlServer[] = [];
const sockets: Socket[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lfsazsync-ctl-'));
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
  rmSync(directory, { recursive: true });
});

const handlers = {
  echo: (args: object) => args,
  nothing: () => undefined,
  later: () => delay(20).then(() => 'later'),
  refuse: () => {
    throw new OperatorError('that is too much', { code: 'TOO_MUCH', hint: 'Ask for less.', exit: 'usage' });
  },
  fail: () => {
    throw new TypeError('sig=abcdef is not a function');
  },
  big: () => 'x'.repeat(4 * 1024 * 1024),
};

async function start(name = 'test.sock', where = directory): Promise<ControlServer> {
  const server = await ControlServer.open({ directory: where, name, version: '1.2.3', handlers, log: silentLog });
  servers.push(server);
  return server;
}

function target(name = 'test.sock', where = directory): ControlTarget {
  return { directory: where, name, service: 'test service', start: 'test start' };
}

async function open(path = join(directory, 'test.sock')): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** All that comes until the other side ends. */
async function all(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('the control socket', () => {
  it('answers requests, and only its own user may ask', async () => {
    const server = await start();
    expect(lstatSync(server.path).mode & 0o777).toBe(0o600);
    expect(await askService(target(), 'echo', { a: [1, 'ä', null] })).toEqual({ a: [1, 'ä', null] });
    expect(await askService(target(), 'nothing')).toBeNull();
    expect(await askService(target(), 'later')).toBe('later');
    expect(await askService(target(), 'big')).toHaveLength(4 * 1024 * 1024);
    await server.close();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('hands errors on, with hint and exit code, without secrets', async () => {
    await start();
    await expect(askService(target(), 'refuse')).rejects.toMatchObject({
      code: 'TOO_MUCH',
      message: 'that is too much',
      hint: 'Ask for less.',
      exit: 'usage',
    });
    const failed = askService(target(), 'fail');
    await expect(failed).rejects.toMatchObject({ code: 'UNEXPECTED', exit: 'failed' });
    await expect(failed).rejects.not.toThrow(/abcdef/);
  });

  it('says that no service runs, whether or not it has left its socket behind', async () => {
    const expected = {
      code: 'SERVICE_NOT_RUNNING',
      exit: 'failed',
      message: expect.stringContaining('the test service is not running'),
      hint: expect.stringContaining("'test start'"),
    };
    await expect(askService(target(), 'echo')).rejects.toMatchObject(expected);
    await expect(askService(target('test.sock', '/no/such'), 'echo')).rejects.toMatchObject(expected);
    await leaveDeadSocket('test.sock');
    await expect(askService(target(), 'echo')).rejects.toMatchObject(expected);
  });

  it('takes the place of a dead service, not of a living one', async () => {
    await leaveDeadSocket('test.sock');
    await start();
    expect(await askService(target(), 'echo', { first: true })).toEqual({ first: true });
    await expect(start()).rejects.toMatchObject({
      code: 'CONTROL_SOCKET_TAKEN',
      exit: 'locked',
      message: expect.stringContaining(join(directory, 'test.sock')),
    });
    expect(await askService(target(), 'echo', { still: true })).toEqual({ still: true });
    expect(readdirSync(directory)).toEqual(['test.sock']);
  });

  it('lets exactly one of several that start at the same time have a dead place', async () => {
    for (let round = 0; round < 5; round += 1) {
      await leaveDeadSocket('test.sock');
      const starts = await Promise.allSettled(Array.from({ length: 6 }, () => start()));
      expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await askService(target(), 'echo', { round })).toEqual({ round });
      expect(readdirSync(directory)).toEqual(['test.sock']);
      for (const server of servers.splice(0)) await server.close();
    }
  });

  it('does not remove the socket of another service that has its place', async () => {
    const first = await start();
    rmSync(first.path);
    await start();
    await first.close();
    expect(await askService(target(), 'nothing')).toBeNull();
  });

  it('works where the path is longer than an address', async () => {
    const deep = join(directory, 'x'.repeat(120), 'y'.repeat(120));
    mkdirSync(deep, { recursive: true });
    await start('test.sock', deep);
    expect(await askService(target('test.sock', deep), 'echo', { deep })).toEqual({ deep });
    await expect(start('test.sock', deep)).rejects.toMatchObject({ code: 'CONTROL_SOCKET_TAKEN' });
  });

  it('has a name that fits, for every mount another', () => {
    expect(socketName('copytool', '/mnt/lustre')).toBe('copytool-mnt-lustre.sock');
    const names = [`/mnt/${'a'.repeat(300)}`, `/mnt/${'a'.repeat(299)}b`].map((mount) => socketName('copytool', mount));
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(64);
  });

  it('refuses what is no request, and goes on', async () => {
    await start();
    const socket = await open();
    const lines = [
      'nonsense',
      '[]',
      'null',
      '{"op":"echo"}',
      '{"v":7,"op":"echo"}',
      '{"v":1,"op":7}',
      '{"v":1,"op":"toString"}',
      '{"v":1,"op":"__proto__"}',
      '',
      '{"v":1,"op":"echo","args":{"fine":true},"more":"ignored"}',
    ];
    socket.end(lines.map((line) => `${line}\n`).join(''));
    const replies = (await all(socket))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { ok: boolean; version?: string; error?: { code: string }; result?: unknown });
    expect(replies.map(({ error }) => error?.code)).toEqual([
      'NOT_JSON',
      'PROTOCOL_VERSION',
      'PROTOCOL_VERSION',
      'PROTOCOL_VERSION',
      'PROTOCOL_VERSION',
      'NOT_A_REQUEST',
      'UNKNOWN_OPERATION',
      'UNKNOWN_OPERATION',
      'NOT_JSON',
      undefined,
    ]);
    expect(replies.at(-1)).toMatchObject({ ok: true, result: { fine: true } });
    expect(replies[4]).toMatchObject({ version: '1.2.3' });
  });

  it('ends a request that does not end, and others are served meanwhile', async () => {
    await start();
    const flood = await open();
    const answered = all(flood).catch(() => '');
    for (let i = 0; i < 64; i += 1) flood.write('x'.repeat(64 * 1024));
    await waitUntil('the connection is ended', () => flood.destroyed || flood.readableEnded);
    expect(await answered).toMatch(/^$|"TOO_LONG"/);
    expect(await askService(target(), 'nothing')).toBeNull();
  });

  it('answers a request that comes byte by byte, and one whose sender has closed its side', async () => {
    await start();
    const slow = await open();
    for (const letter of '{"v":1,"op":"later"}') {
      slow.write(letter);
      await delay(1);
    }
    slow.end('\n');
    expect(JSON.parse(await all(slow))).toEqual({ v: 1, ok: true, result: 'later' });
  });

  it('does not keep what a client sends ahead of its replies, nor replies that nobody reads', async () => {
    await start();
    const greedy = await open();
    greedy.pause();
    for (let i = 0; i < 200; i += 1) greedy.write('{"v":1,"op":"big"}\n');
    await delay(200);
    // The first reply is not taken: no second one is made, which the memory of 200 of them would show.
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(200 * 1024 * 1024);
    expect(await askService(target(), 'nothing')).toBeNull();
    greedy.destroy();
  });

  it('turns more clients away than it has room for, and has room again when they leave', async () => {
    await start();
    const many = await Promise.all(Array.from({ length: 32 }, () => open()));
    await expect(askService(target(), 'nothing')).rejects.toMatchObject({ code: 'SERVICE_SILENT', exit: 'tryAgain' });
    for (const socket of many) socket.destroy();
    await waitUntil('there is room again', async () => (await askService(target(), 'nothing')) === null);
  });

  it('survives clients that leave in the middle', async () => {
    await start();
    for (let i = 0; i < 20; i += 1) {
      const socket = await open();
      socket.write(i % 2 === 0 ? '{"v":1,"op":"big"}\n' : '{"v":1,"op":"la');
      socket.destroy();
    }
    expect(await askService(target(), 'later')).toBe('later');
  });
});

describe('the control client', () => {
  async function fake(reply: string): Promise<void> {
    const server = createServer((socket) => socket.resume().end(reply)).listen(join(directory, 'test.sock'));
    await once(server, 'listening');
    servers.push({ close: () => new Promise((resolve) => server.close(resolve)) } as unknown as ControlServer);
  }

  it.each([
    'hello\n',
    '{"v":2,"ok":true,"result":{}}\n',
    '{"v":2,"ok":false,"error":{"code":"PROTOCOL_VERSION","message":"old"}}\n',
  ])('says that a service which answers %j is of another version', async (reply) => {
    await fake(reply);
    await expect(askService(target(), 'echo')).rejects.toMatchObject({
      code: 'CONTROL_PROTOCOL',
      hint: expect.stringContaining('restart the test service'),
    });
  });

  it('says that a service is silent, when it is', async () => {
    const server = createServer(() => {}).listen(join(directory, 'test.sock'));
    await once(server, 'listening');
    await expect(askService(target(), 'echo', {}, { timeout: 100 })).rejects.toMatchObject({
      code: 'SERVICE_SILENT',
      exit: 'tryAgain',
    });
    server.close();
  });

  it('says who may ask', async () => {
    await start();
    chmodSync(directory, 0o755);
    // Another user, as a program of its own: root may connect to anything.
    writeFileSync(
      join(directory, 'ask.mjs'),
      `import { askService } from ${JSON.stringify(join(import.meta.dirname, 'client.ts'))};
       process.setuid(65534);
       await askService(${JSON.stringify(target())}, 'echo').catch((e) => console.log(e.code, e.exit));`,
    );
    const { stdout, stderr } = spawnSync(process.execPath, [join(directory, 'ask.mjs')], { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: 'CONTROL_SOCKET_DENIED notAuthorised\n', stderr: '' });
  });
});

/** What a process that was killed leaves behind. */
async function leaveDeadSocket(name: string): Promise<void> {
  rmSync(join(directory, name), { force: true });
  const program = `require('net').createServer().listen(${JSON.stringify(join(directory, name))}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', program]);
  expect(existsSync(join(directory, name))).toBe(true);
}
