import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { projectRoot } from '../support/project.ts';
import { run } from '../support/run.ts';

const script = join(projectRoot, 'deploy/install.sh');
const templates = join(projectRoot, 'deploy/bicep');
const SETTINGS = {
  ROLE: 'all',
  LUSTRE_MGS: '10.0.0.4',
  ENDPOINT: 'https://account.blob.core.windows.net',
  CONTAINER: 'lustre',
  CREDENTIAL: 'sas',
  SAS: 'sv=2024&sig=a%2Fsecret%3D&sp=racwdl',
  CHANGELOG_USER: 'cl1',
  RELEASE_URL: 'https://example.com/lfsazsync_0.1.0_amd64.deb?sig=another%2Bsecret',
  RELEASE_SHA256: '0'.repeat(64),
};

let root: string;
beforeEach(() => {
  root = mkdtempSync('/tmp/lfsazsync-install-');
});
afterEach(() => rmSync(root, { recursive: true }));

async function install(
  settings: Readonly<Record<string, string>>,
  os = 'ID=ubuntu\nVERSION_ID=24.04\nVERSION_CODENAME=noble\n',
) {
  const text = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const release = join(root, 'os-release');
  writeFileSync(release, os);
  return await run('sh', [script, '--dry-run', '--root', root], {
    env: {
      PATH: process.env['PATH'],
      LFSAZSYNC_INSTALL: Buffer.from(text.join('\n')).toString('base64'),
      LFSAZSYNC_OS_RELEASE: release,
    },
  });
}

describe('a dry run', () => {
  test('writes a configuration that is valid, and prints no secret', async () => {
    const { exitCode, stdout, stderr } = await install(SETTINGS);
    expect(exitCode, stderr).toBe(0);
    expect(`${stdout}${stderr}`).not.toMatch(/secret/);
    const file = join(root, 'etc/lfsazsync/config.yaml');
    const { config } = await loadConfig({ file, env: {} });
    expect(config.mount).toBe('/mnt/lustre');
    expect(config.archives.get(1)).toMatchObject({
      endpoint: 'https://account.blob.core.windows.net',
      container: 'lustre',
      credential: { type: 'sas', file: '/etc/lfsazsync/sas' },
    });
    expect(readFileSync(join(root, 'etc/lfsazsync/sas'), 'utf8')).toBe(`${SETTINGS.SAS}\n`);
    expect(statSync(join(root, 'etc/lfsazsync/sas')).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).not.toMatch(/secret/);
    expect(existsSync(join(root, 'etc/ssh'))).toBe(false);
  });

  test('says in order what would be done', async () => {
    const { stdout } = await install(SETTINGS);
    const steps = ['apt-get install', 'mount /mnt/lustre', 'would fetch: lfsazsync_0.1.0_amd64.deb', 'lfsazsync setup'];
    const places = [...steps, 'enable --now lfsazsync-copytool', 'enable --now lfsazsync-follow'].map((step) =>
      stdout.indexOf(step),
    );
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThanOrEqual(0);
  });

  test('can be repeated: one line of the mount, whatever there was', async () => {
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/fstab'), '/dev/sda / ext4 defaults 0 1\nold:/fs /mnt/lustre lustre flock 0 0\n');
    await install(SETTINGS);
    await install(SETTINGS);
    const lines = readFileSync(join(root, 'etc/fstab'), 'utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe('/dev/sda / ext4 defaults 0 1');
    expect(lines[1]).toMatch(/^10\.0\.0\.4@tcp:\/lustrefs \/mnt\/lustre lustre \S*flock,user_xattr\S* 0 0$/);
  });

  test('leaves a configuration alone that somebody wrote', async () => {
    mkdirSync(join(root, 'etc/lfsazsync'), { recursive: true });
    writeFileSync(join(root, 'etc/lfsazsync/config.yaml'), 'mount: /mine\n');
    await install(SETTINGS);
    expect(readFileSync(join(root, 'etc/lfsazsync/config.yaml'), 'utf8')).toBe('mount: /mine\n');
  });

  test('with a managed identity writes no secret anywhere', async () => {
    const { SAS: _, ...rest } = SETTINGS;
    const identity = { ...rest, CREDENTIAL: 'managed_identity', IDENTITY_CLIENT_ID: 'it’s-1', PREFIX: "o'brien" };
    expect(await install(identity)).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(root, 'etc/lfsazsync/sas'))).toBe(false);
    const { config } = await loadConfig({ file: join(root, 'etc/lfsazsync/config.yaml'), env: {} });
    expect(config.archives.get(1)).toMatchObject({
      prefix: "o'brien",
      credential: { type: 'managed_identity', clientId: 'it’s-1' },
    });
  });

  test('on AlmaLinux takes its packages; a copytool machine has no follower, no policies, no import', async () => {
    const { stdout } = await install({ ...SETTINGS, ROLE: 'copytool' }, 'ID=almalinux\nVERSION_ID=9.6\n');
    expect(readFileSync(join(root, 'etc/yum.repos.d/amlfs.repo'), 'utf8')).toContain('/yumrepos/amlfs-el9\n');
    expect(stdout).toContain('dnf install');
    expect(stdout).not.toMatch(/lfsazsync-follow|lfsazsync-policy|lfsazsync import/);
  });

  test.each([
    ['True', true],
    ['true', true],
    ['False', false],
  ])('imports into an empty file system when it is told so: %s', async (value, wanted) => {
    const { stdout } = await install({ ...SETTINGS, MOUNT_POINT: '/nowhere/lustre', IMPORT: value });
    expect(stdout.includes('would run: lfsazsync import')).toBe(wanted);
  });

  test('changes the port of sshd when asked to', async () => {
    await install({ ...SETTINGS, SSH_PORT: '2222' });
    expect(readFileSync(join(root, 'etc/ssh/sshd_config.d/10-lfsazsync.conf'), 'utf8')).toBe('Port 2222\n');
  });
});

describe('what is wrong is said before anything is done', () => {
  test.each([
    ['the setting CONTAINER is missing', { CONTAINER: '' }],
    ["ROLE must be all or copytool, not 'x'", { ROLE: 'x' }],
    ['CREDENTIAL is sas, and SAS is empty', { SAS: '' }],
    ["MOUNT_POINT must be an absolute path, not 'mnt'", { MOUNT_POINT: 'mnt' }],
    ["IMPORT must be true or false, not 'perhaps'", { IMPORT: 'perhaps' }],
    ["SSH_PORT must be a number, not '22;reboot'", { SSH_PORT: '22;reboot' }],
  ])('%s', async (message, wrong) => {
    const { exitCode, stdout, stderr } = await install({ ...SETTINGS, ...wrong });
    expect({ exitCode, stderr, stdout }).toEqual({ exitCode: 1, stderr: `error: install: ${message}\n`, stdout: '' });
    expect(readdirSync(root)).toEqual(['os-release']);
  });
});

/** What becomes of a function of the script, where programs answer as written. */
async function calling(call: string, programs: Readonly<Record<string, string>>) {
  for (const [program, answer] of Object.entries(programs))
    writeFileSync(join(root, program), `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
  const [name] = call.split(' ');
  const [text = ''] = new RegExp(`^${name}\\(\\) \\{[^]*?^\\}`, 'm').exec(readFileSync(script, 'utf8')) ?? [];
  const helpers = ['say', 'fail', 'do_'].map((helper) => new RegExp(`^${helper}\\(\\) .*$`, 'm'));
  const lines = helpers.map((helper) => helper.exec(readFileSync(script, 'utf8'))?.[0] ?? '').join('\n');
  const path = `${root}:${process.env['PATH']}`;
  return await run('sh', ['-euc', `dry=''\n${lines}\n${text}\n${call}`], { env: { PATH: path } });
}

describe('set-up', () => {
  const counting = (file: string, code: string) => `echo >>"${file}"; [ $(wc -l <"${file}") -ge 3 ] || exit ${code}`;
  const times = (file: string) => readFileSync(file, 'utf8').length;

  test.each(['5', '7'])('is tried again as long as it ends with %s', async (code) => {
    const file = join(root, 'calls');
    const { exitCode, stderr } = await calling('claim', { lfsazsync: counting(file, code), sleep: 'exit 0' });
    expect(exitCode, stderr).toBe(0);
    expect(times(file)).toBe(3);
  });

  test('that fails for another reason, or is refused for long, ends the installation', async () => {
    const file = join(root, 'calls');
    const failed = await calling('claim', { lfsazsync: counting(file, '1'), sleep: 'exit 0' });
    expect(failed).toMatchObject({ exitCode: 1, stderr: 'error: install: lfsazsync setup ended with 1\n' });
    expect(times(file)).toBe(1);
    const refused = await calling('claim', { lfsazsync: 'exit 7', sleep: 'exit 0' });
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(/is still refused/);
  });
});

describe('of the clients that Microsoft has, the newest for this kernel', () => {
  /** What a function of the script prints, where `program` answers as written. */
  async function choice(call: string, program: string, answer: string): Promise<string> {
    const { exitCode, stdout, stderr } = await calling(call, { [program]: answer });
    expect(exitCode, stderr).toBe(0);
    return stdout.trim();
  }

  test('as a .deb', async () => {
    const versions = ['2.15.7-33-g79ddf99', '2.15.10-1-gaaaaaaa', '2.15.8-2-gbbbbbbb'];
    const listed = versions.flatMap((version) => [
      ` amlfs-lustre-client-${version} | 5.15.0-1075-azure | https://packages.microsoft.com/repos/amlfs-jammy jammy/main amd64 Packages`,
      ` amlfs-lustre-client-${version} | 5.15.0-1080-azure | https://packages.microsoft.com/repos/amlfs-jammy jammy/main amd64 Packages`,
    ]);
    const found = versions.map((version) => `amlfs-lustre-client-${version} - Metapackage`);
    const answer = `case $1 in search) cat <<'E'\n${found.join('\n')}\nE\n;; madison) cat <<'E'\n${listed.slice(0, -1).join('\n')}\nE\nesac`;
    expect(await choice('newest_deb 5.15.0-1075-azure', 'apt-cache', answer)).toBe(
      'amlfs-lustre-client-2.15.10-1-gaaaaaaa',
    );
    expect(await choice('newest_deb 5.15.0-9999-azure', 'apt-cache', answer)).toBe('');
  });

  test('as an RPM, whose name has the kernel with dots only', async () => {
    const kernels = ['5.14.0.503.14.1.el9.5', '5.14.0.503.14.1.el9.50', '5.14.0.570.12.1.el9.6'];
    const listed = ['2.15.7_33_g79ddf99', '2.15.10_1_gaaaaaaa'].flatMap((client) =>
      kernels.map((kernel) => `amlfs-lustre-client-${client}-${kernel}-1`),
    );
    const answer = `cat <<'E'\n${listed.join('\n\n')}\nE`;
    expect(await choice('newest_rpm 5.14.0-503.14.1.el9_5.x86_64', 'dnf', answer)).toBe(
      'amlfs-lustre-client-2.15.10_1_gaaaaaaa-5.14.0.503.14.1.el9.5-1',
    );
  });
});

const shellcheck = await run('shellcheck', ['--version']).then(
  ({ exitCode }) => exitCode === 0,
  () => false,
);

test.skipIf(!shellcheck)('shellcheck finds nothing in the scripts', async () => {
  const packaged = ['deploy/install.sh', 'deploy/debian/postinst', 'deploy/debian/prerm', 'bin/lfsazsync'];
  const own = ['build', 'manifest', 'package', 'setup', 'test', 'with-node'].map((name) => `scripts/${name}`);
  const { exitCode, stdout } = await run('shellcheck', ['-s', 'sh', '-S', 'warning', ...packaged, ...own], {
    cwd: projectRoot,
  });
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
});

describe('the templates', () => {
  const names = readdirSync(templates).filter((name) => name.endsWith('.bicep'));
  const text = (name: string) => readFileSync(join(templates, name), 'utf8');

  test('know the settings of the script, and no others', () => {
    const read = new Set(
      [...readFileSync(script, 'utf8').matchAll(/\$\((?:setting|needed) ([A-Z_0-9]+)/g)].map(([, name]) => name),
    );
    for (const name of ['lfsazsync.bicep', 'copytools.bicep'])
      for (const [, setting] of text(name).matchAll(/^ {2}'([A-Z_0-9]+)=/gm)) expect(read, name).toContain(setting);
  });

  test('have the parameters that their page says', () => {
    const page = readFileSync(join(projectRoot, 'deploy/README.md'), 'utf8');
    const [, table = ''] = /\| there \| here \| \|\n\|---\|---\|---\|\n((?:\|.*\n)+)/.exec(page) ?? [];
    const cells = table.split('\n').map((line) => line.split('|').map((cell) => [...cell.matchAll(/`(\w+)`/g)]));
    const named = (column: number) => cells.flatMap((line) => (line[column] ?? []).map(([, name]) => name as string));
    // What stands in the last column belongs to the one before, and may be a value.
    const parameters = [...text('lfsazsync.bicep').matchAll(/^param (\w+)/gm)].map(([, name]) => name as string);
    for (const name of named(2)) expect(parameters).toContain(name);
    for (const name of parameters) expect([...named(2), ...named(3)]).toContain(name);
    // Those of the seed document.
    expect(named(1)).toEqual(
      expect.arrayContaining(
        'subnet_id vm_sku admin_user ssh_key lustre_mgs storage_account_name storage_container_name storage_account_key ssh_port github_release os'.split(
          ' ',
        ),
      ),
    );
    const others = [...text('copytools.bicep').matchAll(/^param (\w+)/gm)].map(([, name]) => name);
    expect(others.filter((name) => !parameters.includes(name as string))).toEqual(['machine_count']);
    expect(parameters.filter((name) => !others.includes(name))).toEqual(['changelog_user', 'import_container']);
    expect(readFileSync(join(templates, 'images.json'), 'utf8')).not.toMatch(/arm64|aarch64/i);
  });

  test('hand secrets over as secure parameters and protected settings only', () => {
    for (const name of names) {
      const content = text(name);
      for (const [whole] of content.matchAll(
        /(?:@\w+\([^\n]*\)\n)*param \w*(?:sas|key|secret|password)\w* string[^\n]*/g,
      ))
        if (!whole.includes('param ssh_key')) expect(whole, name).toContain('@secure()');
      expect(content, name).not.toMatch(/customData|^\s+settings:/m);
    }
  });

  test('have their brackets in pairs, and name files that are there', () => {
    for (const name of names) {
      const bare = text(name)
        .replace(/\/\/.*$/gm, '')
        .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");
      for (const [open, close] of ['{}', '[]', '()'].map((pair) => pair.split('')))
        expect(bare.split(open as string).length, `${name} ${open}`).toBe(bare.split(close as string).length);
      for (const [, file] of text(name).matchAll(
        /(?:loadTextContent|loadJsonContent)\('([^']+)'\)|^module \w+ '([^']+)'/gm,
      ))
        if (file !== undefined) expect(existsSync(join(templates, file)), file).toBe(true);
    }
  });
});
