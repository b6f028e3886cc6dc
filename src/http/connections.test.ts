import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '../../test/support/tls.ts';
import type { BodyTarget } from './answer-reader.ts';
import { Connections } from './connections.ts';
import { requestHead } from './request-head.ts';

const IDLE = 400;
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanup.splice(0)) undo();
});

/** A server that does what it likes with a connection. `sockets` are those it has seen, in order. */
async function serve(
  onSocket: (socket: Socket, number: number) => void,
  options: { secure?: boolean; idle?: number; host?: string } = {},
): Promise<{ connections: Connections; sockets: Socket[] }> {
  const { host = '127.0.0.1' } = options;
  const sockets: Socket[] = [];
  const accept = (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket, sockets.length);
  };
  const server = options.secure
    ? tls.createServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }, accept)
    : net.createServer(accept);
  server.on('tlsClientError', () => {});
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connections = new Connections(
    new URL(`${options.secure ? 'https' : 'http'}://${host}:${port}`),
    options.idle ?? IDLE,
  );
  cleanup.push(() => {
    connections.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { connections, sockets };
}

/** Calls `answer` for every request that has come as a whole. */
function requests(socket: Socket, answer: (request: { head: string; body: Buffer }) => void): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    pending = Buffer.concat([pending, data]);
    for (;;) {
      const end = pending.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = pending.toString('latin1', 0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (pending.length < end + 4 + length) return;
      const body = pending.subarray(end + 4, end + 4 + length);
      pending = pending.subarray(end + 4 + length);
      answer({ head, body });
    }
  });
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function get(connections: Connections, extra: { signal?: AbortSignal; target?: () => BodyTarget } = {}) {
  return connections.exchange({ method: 'GET', head: requestHead('GET', '/', 'x', {}), ...extra });
}

function put(connections: Connections, body: Uint8Array, signal?: AbortSignal) {
  const head = requestHead('PUT', '/', 'x', { 'content-length': String(body.length) });
  return connections.exchange({ method: 'PUT', head, body, signal });
}

function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  return bytes;
}

describe.each([{ secure: false }, { secure: true }])('bytes, secure: $secure', ({ secure }) => {
  test.each([1, 4096, 24_000, 25_000, 262_144, 262_145, 3 << 20])(
    '%i of them go and come back the same',
    async (length) => {
      tls.setDefaultCACertificates([TEST_CA]);
      const { connections, sockets } = await serve(
        (socket) =>
          requests(socket, ({ body }) => {
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
            socket.write(body);
          }),
        { secure, idle: 20_000 },
      );
      const sent = pattern(length);
      for (let round = 0; round < 3; round++) {
        const target = { buffer: Buffer.alloc(length), filled: 0 };
        const head = requestHead('PUT', '/', 'x', { 'content-length': String(length) });
        await connections.exchange({ method: 'PUT', head, body: sent, target: () => target });
        expect(target.filled).toBe(length);
        expect(target.buffer.equals(sent)).toBe(true);
      }
      expect(sockets).toHaveLength(1);
    },
  );
});

test.each([
  ['a body', 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n', 'a'],
  ['interim answers', '', 'HTTP/1.1 102 Processing\r\n\r\n'],
])('%s that trickles in does not keep a place for ever', async (_, begin, then) => {
  const { connections } = await serve((socket) => {
    socket.once('data', () => {
      socket.write(begin);
      const timer = setInterval(() => socket.write(then), IDLE / 8);
      socket.on('close', () => clearInterval(timer));
    });
  });
  await expect(get(connections)).rejects.toMatchObject({ name: 'StalledError', code: 'STALLED' });
});

test('an answer that comes slowly, but does come, is waited for', async () => {
  const piece = 32 << 10;
  const { connections } = await serve((socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${20 * piece}\r\n\r\n`);
      let sent = 0;
      const timer = setInterval(() => {
        socket.write(Buffer.alloc(piece));
        sent += 1;
        if (sent === 20) clearInterval(timer);
      }, IDLE / 4);
      socket.on('close', () => clearInterval(timer));
    });
  });
  expect((await get(connections)).body).toHaveLength(20 * piece);
});

test('a certificate that nobody vouches for is refused', async () => {
  tls.setDefaultCACertificates([]);
  const { connections } = await serve(() => {}, { secure: true });
  await expect(get(connections)).rejects.toMatchObject({ code: expect.stringMatching(/^UNABLE_TO_|^SELF_SIGNED/) });
});

test('a certificate for another name is refused', async () => {
  tls.setDefaultCACertificates([TEST_CA]);
  const { connections } = await serve(() => {}, { secure: true, host: '127.0.0.2' });
  await expect(get(connections)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

describe('connections', () => {
  test('are used again, at the same time only by one', async () => {
    const { connections, sockets } = await serve((socket) =>
      requests(socket, () => setTimeout(() => socket.write(OK), 20)),
    );
    await Promise.all([get(connections), get(connections), get(connections)]);
    expect(sockets).toHaveLength(3);
    for (let round = 0; round < 5; round++) await get(connections);
    expect(sockets).toHaveLength(3);
  });

  test.each([
    ['says close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
    ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['sends more than its answer', `${OK}HTTP/1.1 408 Request Timeout\r\n\r\n`],
  ])('are not used again when the server %s', async (_, answer) => {
    const { connections, sockets } = await serve((socket) => requests(socket, () => socket.write(answer)));
    expect((await get(connections)).body.toString()).toBe('ok');
    expect((await get(connections)).body.toString()).toBe('ok');
    expect(sockets).toHaveLength(2);
  });

  test('on which a server speaks unasked, or which it ends, are left', async () => {
    const { connections, sockets } = await serve((socket, number) =>
      requests(socket, () => {
        socket.write(OK);
        if (number === 1)
          setTimeout(() => socket.write('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n'), 20);
        if (number === 2) setTimeout(() => socket.end(), 20);
      }),
    );
    for (let round = 1; round <= 3; round++) {
      expect((await get(connections)).status).toBe(200);
      if (round < 3) await once(sockets[round - 1] as Socket, 'close');
    }
    expect(sockets).toHaveLength(3);
  });

  test('a reset on one that was used before is an error, and nothing is sent again', async () => {
    let asked = 0;
    const { connections } = await serve((socket) =>
      requests(socket, () => {
        asked += 1;
        if (asked === 2) socket.resetAndDestroy();
        else socket.write(OK);
      }),
    );
    await get(connections);
    await expect(put(connections, pattern(5000))).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(asked).toBe(2);
    expect((await get(connections)).status).toBe(200);
  });
});

describe('a server that refuses in the middle of a body', () => {
  test('is heard, and the connection is left', async () => {
    const { connections, sockets } = await serve((socket, number) => {
      if (number > 1) return requests(socket, () => socket.write(OK));
      socket.once('data', () => {
        socket.pause();
        socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope');
      });
    });
    const answer = await put(connections, pattern(64 << 20));
    expect(answer).toMatchObject({ status: 403 });
    expect(answer.body.toString()).toBe('nope');
    expect((await get(connections)).status).toBe(200);
    expect(sockets).toHaveLength(2);
  });
});

describe('a server that stalls', () => {
  test.each([
    ['before its answer', ''],
    ['in its head', 'HTTP/1.1 200 OK\r\nConte'],
    ['in its body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123'],
  ])('%s is left', async (_, piece) => {
    const { connections } = await serve((socket) => requests(socket, () => socket.write(piece)));
    await expect(get(connections)).rejects.toMatchObject({ code: 'STALLED' });
  });

  test('while a body is sent is left', async () => {
    const { connections } = await serve((socket) => socket.pause());
    await expect(put(connections, pattern(64 << 20))).rejects.toMatchObject({ code: 'STALLED' });
  });

  test('but goes on in time is waited for', async () => {
    const { connections } = await serve((socket) =>
      requests(socket, async () => {
        for (const byte of OK) {
          socket.write(byte);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }),
    );
    expect((await get(connections)).status).toBe(200);
  });
});

test.each([
  ['with nothing said', ''],
  ['in its head', 'HTTP/1.1 200 OK\r\nCont'],
  ['in its body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123'],
])('a connection that ends %s is an error', async (_, piece) => {
  const { connections } = await serve((socket) => requests(socket, () => socket.end(piece)));
  await expect(get(connections)).rejects.toMatchObject({ code: expect.stringMatching(/^ECONNRESET$|^TRUNCATED$/) });
});

test('a port where nobody listens is an error that says so', async () => {
  const connections = new Connections(new URL('http://127.0.0.1:1'), IDLE);
  await expect(get(connections)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

describe('an abort', () => {
  test('before, while waiting, and in the middle of either body rejects with its reason', async () => {
    const reason = new Error('enough');
    const { connections } = await serve((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n123'));
    });
    await expect(get(connections, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

    const middle = new AbortController();
    const target = { buffer: Buffer.alloc(1_000_000), filled: 0 };
    const reading = get(connections, {
      signal: middle.signal,
      target: () => {
        setTimeout(() => middle.abort(reason), 20);
        return target;
      },
    });
    await expect(reading).rejects.toBe(reason);
    const { filled } = target;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(target.filled).toBe(filled);

    const deaf = await serve((socket) => socket.pause());
    const sending = new AbortController();
    const put64 = put(deaf.connections, pattern(64 << 20), sending.signal);
    setTimeout(() => sending.abort(reason), 50);
    await expect(put64).rejects.toBe(reason);
  });

  test('that comes after the answer changes nothing, and no listener stays', async () => {
    const { connections, sockets } = await serve((socket) => requests(socket, () => socket.write(OK)));
    const controller = new AbortController();
    for (let round = 0; round < 20; round++) await get(connections, { signal: controller.signal });
    controller.abort();
    expect((await get(connections)).status).toBe(200);
    expect(sockets).toHaveLength(1);
  });
});

test('what the target function throws ends the exchange with it', async () => {
  const { connections } = await serve((socket) => requests(socket, () => socket.write(OK)));
  const error = new Error('not this one');
  const refusing = get(connections, {
    target: () => {
      throw error;
    },
  });
  await expect(refusing).rejects.toBe(error);
  expect((await get(connections)).status).toBe(200);
});

test('nothing can be smuggled into a request', () => {
  expect(() => requestHead('GET', '/a b', 'x', {})).toThrow(TypeError);
  expect(() => requestHead('GET', '/a\r\nx: y', 'x', {})).toThrow(TypeError);
  expect(() => requestHead('GET', '/', 'x', { a: 'b\r\nc: d' })).toThrow(TypeError);
  expect(() => requestHead('GET', '/', 'x', { 'a:': 'b' })).toThrow(TypeError);
  expect(() => requestHead('GET', '/', 'x', { a: '\u0100' })).toThrow(TypeError);
});
