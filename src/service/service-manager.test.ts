import { afterEach, describe, expect, test } from 'vitest';
import { NotifySocket } from '../../test/support/notify-socket.ts';
import { type SendDatagram, serviceManager } from './service-manager.ts';

const warnings: string[] = [];
const log = { warn: (message: string) => void warnings.push(message), debug: () => {} };

function recorder(errno = 0): { sent: [string, string][]; send: SendDatagram } {
  const sent: [string, string][] = [];
  const send: SendDatagram = (socket, message) => {
    sent.push([socket, message]);
    return errno;
  };
  return { sent, send };
}

afterEach(() => {
  warnings.length = 0;
});

describe('without systemd', () => {
  test('nothing is told', () => {
    const { sent, send } = recorder();
    const manager = serviceManager({ log, env: { WATCHDOG_USEC: '1000' }, send });
    manager.ready();
    manager.alive();
    manager.stopping();
    expect(sent).toEqual([]);
  });
});

describe('under systemd', () => {
  test('its variables are taken out of the environment', () => {
    const env = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '1', WATCHDOG_PID: '2', OTHER: 'stays' };
    serviceManager({ log, env, send: recorder().send });
    expect(env).toEqual({ OTHER: 'stays' });
  });

  test('a status is one line, whatever is in it', () => {
    const { sent, send } = recorder();
    serviceManager({ log, env: { NOTIFY_SOCKET: '@x' }, send }).ready('a\nREADY=0\n b');
    expect(sent).toEqual([['@x', 'READY=1\nSTATUS=a READY=0 b']]);
  });

  test('the watchdog hears of it, and not more often than it needs to', () => {
    const { sent, send } = recorder();
    const manager = serviceManager({ log, env: { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '60000000' }, send });
    for (let round = 0; round < 100; round += 1) manager.alive();
    expect(sent).toEqual([['/x', 'WATCHDOG=1']]);
  });

  test.each([
    ['none is set', {}],
    ['it watches another process', { WATCHDOG_USEC: '1', WATCHDOG_PID: '1' }],
    ['it is no number', { WATCHDOG_USEC: 'soon' }],
  ])('no watchdog is fed when %s', (_, variables) => {
    const { sent, send } = recorder();
    serviceManager({ log, env: { NOTIFY_SOCKET: '/x', ...variables }, send }).alive();
    expect(sent).toEqual([]);
  });

  test.each(['path', 'abstract name'])('datagrams go to a socket with a %s', async (kind) => {
    const name = `${kind === 'path' ? '/tmp/' : '@'}lfsazsync-notify-${process.pid}`;
    const socket = await NotifySocket.listen(name);
    try {
      const manager = serviceManager({ log, env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: '1' } });
      manager.ready('serves');
      manager.alive();
      manager.stopping();
      await socket.waitFor(/^STOPPING=1$/);
      expect(socket.messages).toEqual(['READY=1|STATUS=serves', 'WATCHDOG=1', 'STOPPING=1']);
    } finally {
      socket.close();
    }
  });

  test.each(['/nowhere/notify', '@nobody-listens', 'relative', `/${'x'.repeat(300)}`])(
    'a socket that can not be reached fails nothing: %s',
    (name) => {
      const manager = serviceManager({ log, env: { NOTIFY_SOCKET: name } });
      manager.ready('x'.repeat(10_000));
      manager.stopping();
      expect(warnings).toEqual([]);
    },
  );
});
