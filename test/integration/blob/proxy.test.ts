import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { useAzurite } from './setup.ts';

const world = useAzurite();
const NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
const before = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));

afterEach(() => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** A proxy that answers everything itself, and notes what it was asked for. */
async function withProxy(use: (url: string, asked: string[]) => Promise<void>): Promise<void> {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('the proxy of the environment is used, and NO_PROXY is respected', async () => {
  await withProxy(async (url, asked) => {
    for (const name of NAMES) delete process.env[name];
    process.env['HTTP_PROXY'] = url;
    expect(await (await world.open()).head('a b')).toBeUndefined();
    expect(asked).toEqual([`${world.gateway.endpoint}/${world.container}/a%20b`]);
    expect(world.gateway.requests).toHaveLength(0);

    process.env['NO_PROXY'] = '127.0.0.1';
    expect(await (await world.open()).head('a b')).toBeUndefined();
    expect(asked).toHaveLength(1);
    expect(world.gateway.requests).toHaveLength(1);
  });
});
