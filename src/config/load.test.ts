import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from './config-error.ts';
import { credentialWarnings, readSecret } from './credential-source.ts';
import { configKeys } from './keys.ts';
import { type LoadOptions, loadConfig } from './load.ts';
import { formatOrigin, settingsOf } from './show.ts';
import { configTemplate, writeTemplate } from './template.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lfsazsync-config-'));
  file = join(folder, 'config.yaml');
});
afterEach(() => rmSync(folder, { recursive: true }));

const ARCHIVE = `
  1:
    endpoint: http://127.0.0.1:10000/devstoreaccount1
    container: data
    credential: {type: managed_identity}
`;

/** Loads a text as the configuration file, with nothing from this process's environment. */
function load(text: string, options: LoadOptions = {}) {
  writeFileSync(file, text);
  return loadConfig({ env: {}, file, ...options });
}

/** The problems of a text, `line:column: path: message`. */
async function problemsOf(text: string, options: LoadOptions = {}): Promise<string[]> {
  const error = await load(text, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  const { problems, exit, code } = error as ConfigError;
  expect({ exit, code }).toEqual({ exit: 'usage', code: 'CONFIG_INVALID' });
  return problems.map(({ where, path, message }) => `${where.replace(`${file}:`, '')}: ${path}: ${message}`);
}

describe('precedence', () => {
  const text = `mount: /mnt/file\nlog:\n  level: warn\narchives:${ARCHIVE}`;

  it('takes the default where nobody says anything', async () => {
    const { config, origin } = await load('mount: /mnt/file\n');
    expect(config.log).toEqual({ level: 'info', auditFile: '/var/lib/lfsazsync/audit.log' });
    expect(config.copytool).toMatchObject({ heartbeat: 5000, maxBytesInFlight: 128 * 1024 ** 2, blockSize: 'auto' });
    expect(origin(['log', 'level'])).toEqual({ kind: 'default' });
  });

  it('takes file before default, environment before file, flag before environment, and keeps the origin', async () => {
    const env = { LFSAZSYNC_LOG_LEVEL: 'debug', LFSAZSYNC_COPYTOOL_CONCURRENCY: '' };
    const flags = [{ flag: '--log-level', path: 'log.level', value: 'trace' }];
    const seen = [];
    for (const options of [{}, { env }, { env, flags }]) {
      const { config, origin } = await load(text, options);
      seen.push([config.log.level, formatOrigin(origin(['log', 'level']))]);
      expect(origin(['mount'])).toEqual({ kind: 'file', file, line: 1, column: 8 });
    }
    expect(seen).toEqual([
      ['warn', `${file}:3`],
      ['debug', 'LFSAZSYNC_LOG_LEVEL'],
      ['trace', '--log-level'],
    ]);
  });

  it('needs no file', async () => {
    const { config, raw } = await load('', {
      env: {
        LFSAZSYNC_MOUNT: '/mnt/sim',
        LFSAZSYNC_MDT: 'sim-MDT0000,sim-MDT0001',
        LFSAZSYNC_LLAPI: '/sim/liblustreapi.so.1',
        LFSAZSYNC_STATE_DIR: '/s',
        LFSAZSYNC_RUN_DIR: '/r',
        LFSAZSYNC_CONTAINER: 'box',
        AZURE_STORAGE_CONNECTION_STRING: 'AccountName=a;AccountKey=SECRET',
        LFSAZSYNC_COPYTOOL_MAX_BYTES_IN_FLIGHT: '1G',
      },
    });
    expect(config).toMatchObject({
      mount: '/mnt/sim',
      mdts: ['sim-MDT0000', 'sim-MDT0001'],
      liblustreapi: '/sim/liblustreapi.so.1',
      stateDir: '/s',
      runDir: '/r',
      log: { auditFile: '/s/audit.log' },
    });
    expect(config.copytool.maxBytesInFlight).toBe(1024 ** 3);
    expect(config.archives.get(1)).toEqual({
      id: 1,
      container: 'box',
      prefix: '',
      onConflict: 'fail',
      rehydrate: 'none',
      credential: { type: 'connection_string', env: 'AZURE_STORAGE_CONNECTION_STRING' },
    });
    expect(JSON.stringify(raw)).not.toContain('SECRET');
  });

  it('lets a connection string of the environment replace endpoint and credential of archive 1, and only there', async () => {
    const env = { AZURE_STORAGE_CONNECTION_STRING: 'x' };
    const { config, origin } = await load(text, { env });
    expect(config.archives.get(1)?.credential).toEqual({
      type: 'connection_string',
      env: 'AZURE_STORAGE_CONNECTION_STRING',
    });
    expect(config.archives.get(1)?.endpoint).toBeUndefined();
    expect(formatOrigin(origin(['archives', '1', 'credential', 'type']))).toBe('AZURE_STORAGE_CONNECTION_STRING');
    const two = await load(text.replace('  1:', '  2:'), { env });
    expect([...two.config.archives.keys()]).toEqual([2]);
  });

  it('finds the file by LFSAZSYNC_CONFIG, and says when one that was named is not there', async () => {
    writeFileSync(file, 'mount: /mnt/a\n');
    expect((await loadConfig({ env: { LFSAZSYNC_CONFIG: file } })).config.mount).toBe('/mnt/a');
    await expect(loadConfig({ env: {}, file: join(folder, 'none.yaml') })).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      exit: 'usage',
      hint: expect.stringContaining('config init'),
    });
  });

  it('warns about a variable that means nothing', async () => {
    const { warnings } = await load('mount: /m', {
      env: { LFSAZSYNC_MUONT: '/x', LFSAZSYNC_TEST_MOUNT: '/y', HOME: '/' },
    });
    expect(warnings).toEqual([
      'the environment variable LFSAZSYNC_MUONT has no meaning; did you mean LFSAZSYNC_MOUNT?',
    ]);
  });
});

describe('problems', () => {
  it('names all of them, each with its place, value and what is allowed', async () => {
    const text = `mount: mnt
stat_dir: /x
archives:
  1:
    endpoint: ftp://x
    container: Data
    on_conflict: overwrit
    access_tier: Archive
    credential: {type: saas}
  0: {}
copytool:
  concurency: 4
  heartbeat: 20s
  drain_timeout: 5
  range_size: 1.0001K
request:
  batch: ten
`;
    expect((await problemsOf(text)).toSorted()).toEqual(
      [
        '10:3: archives.0: must be an archive id from 1 to 65535',
        "12:3: copytool.concurency: unknown key; did you mean 'concurrency'?",
        '13:14: copytool.heartbeat: must be from 100ms to 10s, not "20s"',
        "14:18: copytool.drain_timeout: a duration needs a unit, such as '5s' or '5m', not 5",
        '15:15: copytool.range_size: not a whole number of bytes, not "1.0001K"',
        '17:10: request.batch: must be a whole number, not "ten"',
        '1:8: mount: must be an absolute path, not "mnt"',
        "2:1: stat_dir: unknown key; did you mean 'state_dir'?",
        '5:15: archives.1.endpoint: must be a URL such as https://ACCOUNT.blob.core.windows.net, not "ftp://x"',
        '6:16: archives.1.container: must be 3 to 63 lower-case letters, digits and single hyphens, not "Data"',
        `7:18: archives.1.on_conflict: must be one of fail, overwrite (did you mean 'overwrite'?), not "overwrit"`,
        '8:18: archives.1.access_tier: must be one of Hot, Cool, Cold, not "Archive"',
        `9:24: archives.1.credential.type: must be one of sas, connection_string, managed_identity, workload_identity (did you mean 'sas'?), not "saas"`,
      ].toSorted(),
    );
  });

  it.each([
    ['https://acct.dfs.core.windows.net', 'must be that of the Blob service, ACCOUNT.blob.…, not ACCOUNT.dfs.…'],
    ['https://acct.blob.core.windows.net/data', 'must be that of the account: the container has a key of its own'],
    [
      'https://acct.z12.blob.storage.azure.net/data/x',
      'must be that of the account: the container has a key of its own',
    ],
    ['https://acct-secondary.blob.core.windows.net', 'must be the primary one: the secondary can only be read'],
  ])('knows endpoints that are pasted wrongly: %s', async (endpoint, says) => {
    const text = `mount: /m\narchives: {1: {endpoint: "${endpoint}", container: abc, credential: {type: managed_identity}}}`;
    expect(await problemsOf(text)).toEqual([expect.stringContaining(`archives.1.endpoint: ${says}`)]);
  });

  it.each([
    'https://acct.blob.core.windows.net/',
    'https://acct.blob.core.usgovcloudapi.net',
    'https://acct.privatelink.blob.core.chinacloudapi.cn',
    'http://127.0.0.1:10000/devstoreaccount1',
    'https://blobs.example.com',
  ])('takes %s', async (endpoint) => {
    const { config } = await load(
      `mount: /m\narchives: {1: {endpoint: "${endpoint}", container: abc, credential: {type: managed_identity}}}`,
    );
    expect(config.archives.get(1)?.endpoint).toBe(endpoint);
  });

  it('refuses the root container, in which no name may have a slash', async () => {
    const text =
      'mount: /m\narchives: {1: {endpoint: "https://a.example", container: $root, credential: {type: managed_identity}}}';
    expect(await problemsOf(text)).toEqual([expect.stringContaining('archives.1.container: ')]);
  });

  it('says what is missing, and how to give it', async () => {
    expect(await problemsOf('archives: {1: {container: abc}}')).toEqual([
      expect.stringContaining(': mount: is required: set it in the file, or as LFSAZSYNC_MOUNT'),
      '1:12: archives.1.credential: is required',
    ]);
    expect(
      await problemsOf(`mount: /m\narchives: {1: {container: abc, credential: {type: managed_identity}}}`),
    ).toEqual(['2:12: archives.1.endpoint: is required']);
  });

  it('names the variable or the flag that is wrong', async () => {
    const env = { LFSAZSYNC_LOG_LEVEL: 'loud' };
    const flags = [{ flag: '--concurrency', path: 'copytool.concurrency', value: '0' }];
    expect(await problemsOf('mount: /m', { env, flags })).toEqual([
      expect.stringMatching(/^environment variable LFSAZSYNC_LOG_LEVEL: log.level: must be one of .*, not "loud"$/),
      '--concurrency: copytool.concurrency: must be from 1 to 1024, not "0"',
    ]);
  });

  it('checks settings against each other', async () => {
    expect(await problemsOf('mount: /m\ncopytool:\n  concurrency: 4\n  restore_reserve: 4')).toEqual([
      '4:20: copytool.restore_reserve: must be less than copytool.concurrency, not 4',
    ]);
  });

  it.each([
    ['a: [1\nb: 2\n', '2:1'],
    ['mount: /a\nmount: /b\n', '2:1'],
    ['- a\n- b\n', '1:1'],
    ['mount: /a\n\tx: 1\n', '2:1'],
    ['--- \na: 1\n---\nb: 1\n', '3:1'],
  ])('gives the place of broken YAML: %j', async (text, place) => {
    expect((await problemsOf(text))[0]).toMatch(new RegExp(`^${place}: : `));
  });

  it('takes an alias for what it stands for, and an empty key for none', async () => {
    const { config } = await load(
      `mount: /m\nlog:\narchives:${ARCHIVE}  2: {endpoint: https://b.example, container: &c other, prefix: *c, credential: {type: managed_identity}}\n`,
    );
    expect(config.archives.get(2)).toMatchObject({ container: 'other', prefix: 'other' });
    expect(config.log.level).toBe('info');
  });
});

describe('secrets', () => {
  const SIGNED = 'sv=2024-11-04&sp=rwdl&sig=VERYSECRET%3D';

  it.each([
    ['an inline sas', `    sas: "${SIGNED}"\n`],
    ['an inline key', '    key: VERYSECRET\n'],
    ['a sas in the endpoint', `    endpoint: "https://a.example/?${SIGNED}"\n`],
    ['a sas as the credential', `    credential: "${SIGNED}"\n`],
    ['a sas in the credential', `    credential: {type: sas, sas: "${SIGNED}"}\n`],
    ['a sas where a file belongs', `    credential: {type: sas, file: "${SIGNED}"}\n`],
    ['a connection string', '    credential: {type: connection_string, file: "AccountName=a;AccountKey=VERYSECRET"}\n'],
    ['a key where a type belongs', '    credential: {type: "AccountKey=VERYSECRET"}\n'],
    ['a secret in a list', '    prefix: ["AccountKey=VERYSECRET"]\n'],
    ['a bare token where a file belongs', '    credential: {type: sas, file: VERYSECRET}\n'],
  ])('refuses %s without repeating it', async (_, line) => {
    const problems = await problemsOf(`mount: /m\narchives:\n  1:\n    container: abc\n${line}`);
    expect(problems.join('\n')).not.toContain('VERYSECRET');
    expect(problems.join('\n')).toMatch(/secret|must be an absolute path/);
  });

  it('reads a secret afresh from its file or variable, and never shows it', async () => {
    const secretFile = join(folder, 'sas');
    writeFileSync(secretFile, '?sig=one\n', { mode: 0o600 });
    expect((await readSecret({ file: secretFile })).reveal()).toBe('?sig=one');
    writeFileSync(secretFile, '?sig=two\n');
    expect((await readSecret({ file: secretFile })).reveal()).toBe('?sig=two');
    expect((await readSecret({ env: 'X' }, { X: 'three' })).reveal()).toBe('three');
    for (const source of [{ env: 'Y' }, { file: join(folder, 'none') }]) {
      await expect(readSecret(source, {})).rejects.toMatchObject({ code: 'CREDENTIAL_MISSING', exit: 'notAuthorised' });
    }
  });

  it('warns about a credential that is absent or readable by others', async () => {
    const secretFile = join(folder, 'sas');
    const archive = (id: number, credential: string) =>
      `  ${id}: {endpoint: https://a.example, container: abc, credential: ${credential}}\n`;
    const text = `mount: /m\narchives:\n${archive(1, `{type: sas, file: ${secretFile}}`)}${archive(2, '{type: sas, env: NOT_SET}')}`;
    const { config } = await load(text);
    expect(await credentialWarnings(config, {})).toEqual([
      expect.stringContaining("can't be read: ENOENT"),
      expect.stringContaining('environment variable NOT_SET is not set'),
    ]);
    writeFileSync(secretFile, 'x', { mode: 0o600 });
    expect(await credentialWarnings(config, { NOT_SET: 'x' })).toEqual([]);
    chmodSync(secretFile, 0o644);
    expect(await credentialWarnings(config, { NOT_SET: 'x' })).toEqual([
      expect.stringContaining(`chmod 600 ${secretFile}`),
    ]);
  });
});

describe('show', () => {
  it('prints settings as an operator would write them', async () => {
    const settings = settingsOf(await load(`mount: /m\ncopytool: {drain_timeout: 90s}\narchives:${ARCHIVE}`));
    const shown = Object.fromEntries(
      settings.map(({ path, value, origin }) => [path, `${value} ${formatOrigin(origin)}`]),
    );
    expect(shown).toMatchObject({
      'copytool.drain_timeout': `1m30s ${file}:2`,
      'copytool.max_bytes_in_flight': '128MiB default',
      'archives.1.credential.type': `managed_identity ${file}:7`,
    });
  });
});

describe('the template', () => {
  it('validates, and says exactly the defaults', async () => {
    const { config } = await load(configTemplate());
    expect([...config.archives.keys()]).toEqual([1]);
    const { config: plain } = await load('mount: /mnt/lustre');
    expect({ ...config, archives: plain.archives }).toEqual(plain);
  });

  it('names every setting, and validates with all of them switched on', async () => {
    const text = configTemplate();
    for (const key of configKeys()) {
      if (!key.path.includes('*')) expect(text).toContain(`${key.path.at(-1)}:`);
    }
    const active = text
      .replace(/^( *)# +?( *[a-z_]+:( |$))/gm, '$1$2')
      .replaceAll('      type: sas\n      file: /etc/lfsazsync/sas\n', '');
    const { config } = await load(active);
    expect(config).toEqual((await load(text)).config);
  });

  it('replaces no file unless asked to', async () => {
    writeFileSync(file, 'mine');
    await expect(writeTemplate({ file, force: false })).rejects.toMatchObject({ code: 'CONFIG_EXISTS', exit: 'usage' });
    await writeTemplate({ file, force: true });
    expect((await loadConfig({ env: {}, file })).config.mount).toBe('/mnt/lustre');
    const deep = join(folder, 'new', 'config.yaml');
    await writeTemplate({ file: deep, force: false });
    expect((await loadConfig({ env: {}, file: deep })).config.mount).toBe('/mnt/lustre');
  });
});
