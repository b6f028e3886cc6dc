import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { waitUntil } from '../../test/support/wait.ts';
import { counter, exposition, gauge } from './exposition.ts';
import { parseListenAddress, serveMetrics } from './server.ts';
import { replaceFile } from './textfile.ts';

const ROOT = join(import.meta.dirname, '../..');
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lfsazsync-metrics-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

test('the text format, labels escaped, metrics without a sample left out', () => {
  const text = exposition([
    gauge('a', 'Help with \\ and\nnewline.', 1.5),
    counter('b_total', 'B.', [{ labels: { x: 'q"\\\n', y: 'z' }, value: 2 }, { value: Number.POSITIVE_INFINITY }]),
    gauge('c', 'C.', undefined),
  ]);
  expect(text).toBe(
    '# HELP lfsazsync_a Help with \\\\ and\\nnewline.\n# TYPE lfsazsync_a gauge\nlfsazsync_a 1.5\n' +
      '# HELP lfsazsync_b_total B.\n# TYPE lfsazsync_b_total counter\nlfsazsync_b_total{x="q\\"\\\\\\n",y="z"} 2\nlfsazsync_b_total +Inf\n',
  );
});

describe('what there is', () => {
  const defined = ['snapshot.ts', 'copytool.ts'].flatMap((file) => {
    const source = readFileSync(join(import.meta.dirname, file), 'utf8');
    return [...source.matchAll(/\b(gauge|counter)\(\s*'([a-z_]+)'/g)].map(([, type, name]) => [
      `lfsazsync_${name}`,
      type,
    ]);
  });
  const names = defined.map(([name]) => name);

  test('is documented, and nothing else', () => {
    const doc = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
    const documented = [...doc.matchAll(/^\| `(lfsazsync_[a-z_]+)` \| (gauge|counter) \|/gm)].map(([, name, type]) => [
      name,
      type,
    ]);
    expect(documented.sort()).toEqual(defined.toSorted());
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(30);
  });

  test('has names by the conventions', () => {
    for (const [name, type] of defined) expect([name, name?.endsWith('_total')]).toEqual([name, type === 'counter']);
  });

  const expressions = () => {
    const alerts = readFileSync(join(ROOT, 'deploy/prometheus/alerts.yaml'), 'utf8');
    const { groups } = parse(alerts) as { groups: { rules: { expr: string }[] }[] };
    const dashboard = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/lfsazsync.json'), 'utf8')) as {
      panels: { targets: { expr: string }[] }[];
    };
    return [
      ...groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ];
  };

  test('is all that alerts and dashboard ask for', () => {
    const asked = expressions().flatMap((expr) => expr.match(/lfsazsync_[a-z_]+/g) ?? []);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.filter((name) => !names.includes(name))).toEqual([]);
  });

  test('has the labels that alerts and dashboard choose and group by', () => {
    const doc = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
    const labels = new Map(
      [...doc.matchAll(/^\| `(lfsazsync_[a-z_]+)` \| \w+ \| ([a-z, ]*) \|/gm)].map(([, name, list = '']) => [
        name,
        ['instance', ...list.split(', ')],
      ]),
    );
    const chosen = expressions().flatMap((expr) =>
      [...expr.matchAll(/(lfsazsync_[a-z_]+)\{([^}]*)\}/g)].flatMap(([, name, selectors = '']) =>
        [...selectors.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => [name, label] as const),
      ),
    );
    const grouped = expressions().flatMap((expr) =>
      [...expr.matchAll(/\bby \(([a-z_, ]+)\)[^{]*?(lfsazsync_[a-z_]+)/g)].flatMap(([, list = '', name]) =>
        list.split(', ').map((label) => [name, label] as const),
      ),
    );
    expect(grouped.length).toBeGreaterThan(5);
    expect([...chosen, ...grouped].filter(([name, label]) => labels.get(name)?.includes(label ?? '') !== true)).toEqual(
      [],
    );
  });
});

describe('serving', () => {
  const get = (to: object, path: string, method = 'GET') =>
    new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const asking = request({ ...to, path, method }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode, text }));
      });
      asking.once('error', reject).end();
    });

  test('at a port of loopback: those that ask at the same time share the figures', async () => {
    let made = 0;
    let release: () => void = () => {};
    const ready = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, async () => {
      made += 1;
      await ready;
      return `made ${made}\n`;
    });
    const { port } = server.address() as AddressInfo;
    const to = { host: '127.0.0.1', port };
    let received = 0;
    server.on('request', () => {
      received += 1;
    });
    const both = [get(to, '/metrics'), get(to, '/metrics')];
    // A connection alone is no request yet: the second might ask after the first has been answered.
    await waitUntil('both have asked', () => received === 2);
    expect(made).toBe(1);
    release();
    expect(await Promise.all(both)).toEqual([
      { status: 200, text: 'made 1\n' },
      { status: 200, text: 'made 1\n' },
    ]);
    expect(await get(to, '/metrics')).toEqual({ status: 200, text: 'made 2\n' });
    expect(await get(to, '/etc/passwd')).toEqual({ status: 404, text: '' });
    expect(await get(to, '/metrics', 'POST')).toEqual({ status: 405, text: '' });
    server.close();
  });

  test('at a Unix socket, one left behind replaced; an error is told', async () => {
    const path = join(directory, 'metrics.sock');
    const first = await serveMetrics({ path }, async () => 'old');
    const server = await serveMetrics({ path }, async () => {
      throw new Error('no\nfigures');
    });
    expect(await get({ socketPath: path }, '/metrics')).toEqual({ status: 500, text: '# no figures\n' });
    server.close();
    first.close();
  });

  test('only where others can’t reach it', () => {
    expect(parseListenAddress('127.0.0.1:9470')).toEqual({ host: '127.0.0.1', port: 9470 });
    expect(parseListenAddress('[::1]:1')).toEqual({ host: '::1', port: 1 });
    expect(parseListenAddress('localhost:9470')).toEqual({ host: 'localhost', port: 9470 });
    expect(parseListenAddress('unix:/run/x.sock')).toEqual({ path: '/run/x.sock' });
    for (const text of [
      '0.0.0.0:9470',
      ':9470',
      '10.0.0.1:9470',
      '127.0.0.1:99999',
      '[::]:9470',
      '9470',
      'unix:',
      '127.evil:1',
    ])
      expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ code: 'LISTEN_ADDRESS' }));
  });
});

test('the textfile is replaced as a whole, or left as it was', async () => {
  const file = join(directory, 'a.prom');
  await replaceFile(file, 'one');
  await replaceFile(file, 'two');
  expect(readFileSync(file, 'utf8')).toBe('two');
  await expect(replaceFile(join(directory, 'missing', 'a.prom'), 'x')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(readdirSync(directory).filter((name) => name.endsWith('.new'))).toEqual([]);
});
