import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { helpersOf } from '../../support/machine.ts';
import { NotifySocket } from '../../support/notify-socket.ts';
import { Steps } from '../../support/steps.ts';
import { waitUntil } from '../../support/wait.ts';
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

/** Waits until the watchdog is fed no more. */
async function starving(): Promise<void> {
  await waitUntil('the watchdog starves', async () => {
    const before = socket.messages.length;
    await delay(2_000);
    return socket.messages.length === before;
  });
}

// The first run of the policies here: a later one is not due for minutes.
test('a resident policy-run one of whose runs is stuck lets the watchdog starve, until it goes on', async () => {
  expect(await rig.sandbox.run(['scan'])).toMatchObject({ exitCode: 0 });
  const steps = new Steps(rig.sandbox);
  const run = steps.hold('policy.begun');
  const watched = { NOTIFY_SOCKET: join(rig.sandbox.dir, 'notify'), WATCHDOG_USEC: '1000000' };
  const service = rig.sandbox.startService(['policy-run', '--every', '1h'], { ...watched, ...steps.env });
  await service.waitFor('policy-run ready');
  await run.reached();
  await starving();
  const starved = socket.messages.length;
  run.release();
  await socket.waitFor(/^WATCHDOG=1$/, starved);
  await service.stop();
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

test('a follower whose changelog helper is stuck lets the watchdog starve, though its process is not', async () => {
  const name = join(rig.sandbox.dir, 'notify');
  const service = rig.sandbox.startService(['changelog-follow'], { NOTIFY_SOCKET: name, WATCHDOG_USEC: '1000000' });
  await socket.waitFor(/^WATCHDOG=1$/, socket.messages.length);
  await service.waitFor('follower ready');
  const helper = helpersOf(service.pid).get('changelog');
  if (helper === undefined) throw new Error('there is no helper that reads the changelog');
  process.kill(helper.pid, 'SIGSTOP');
  // What it had told before is taken in meanwhile.
  await starving();
  const starved = socket.messages.length;
  process.kill(helper.pid, 'SIGCONT');
  await socket.waitFor(/^WATCHDOG=1$/, starved);
  await service.stop();
});
