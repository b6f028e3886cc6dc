import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NotifySocket } from '../../support/notify-socket.ts';
import { Rig } from './fixture.ts';

let rig: Rig;
let socket: NotifySocket;

beforeAll(async () => {
  rig = await Rig.start();
  await rig.copytool.stop();
  const name = join(rig.sandbox.dir, 'notify');
  socket = await NotifySocket.listen(name);
  await rig.restart({ NOTIFY_SOCKET: name, WATCHDOG_USEC: '1000000' });
});
afterAll(async () => {
  socket?.close();
  await rig?.stop();
});

test('systemd is told that it serves, that it goes on, and that it stops', async () => {
  await socket.waitFor(/^READY=1\|STATUS=serves /);
  expect(socket.messages.indexOf('WATCHDOG=1')).not.toBe(0);
  await socket.waitFor(/^WATCHDOG=1$/);
  await socket.waitFor(/^WATCHDOG=1$/, socket.messages.length);
  const environment = readFileSync(`/proc/${await rig.helperPid()}/environ`, 'utf8');
  expect(environment).not.toMatch(/NOTIFY_SOCKET|WATCHDOG/);
  const before = socket.messages.length;
  await rig.copytool.stop();
  await socket.waitFor(/^STOPPING=1$/, before);
});

test.each([
  { argv: ['changelog-follow'], ready: /^READY=1\|STATUS=follows / },
  { argv: ['policy-run', '--every', '1h'], ready: /^READY=1\|STATUS=looks at the triggers / },
])('$argv: so it is of the other services', async ({ argv, ready }) => {
  const before = socket.messages.length;
  const name = join(rig.sandbox.dir, 'notify');
  const service = rig.sandbox.startService(argv, { NOTIFY_SOCKET: name, WATCHDOG_USEC: '1000000' });
  await socket.waitFor(ready, before);
  await socket.waitFor(/^WATCHDOG=1$/, socket.messages.length);
  const running = socket.messages.length;
  await service.stop();
  await socket.waitFor(/^STOPPING=1$/, running);
});
