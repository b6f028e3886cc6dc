import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandsOf } from '../../scripts/reference/command-line.ts';
import { completions } from '../../scripts/reference/completions.ts';
import { manPages } from '../../scripts/reference/man.ts';
import { projectRoot } from '../support/project.ts';
import { run } from '../support/run.ts';

const commands = commandsOf(join(projectRoot, 'oclif.manifest.json'));
const scripts = completions(commands);
let directory: string;

beforeAll(() => {
  directory = mkdtempSync('/tmp/lfsazsync-reference-');
});
afterAll(() => rmSync(directory, { recursive: true }));

const has = async (program: string, ...args: string[]) =>
  await run(program, args).then(
    ({ exitCode }) => exitCode === 0,
    () => false,
  );

const [zsh, fish, mandoc] = await Promise.all(
  ['zsh', 'fish', 'mandoc'].map((program) => has('sh', '-c', `command -v ${program}`)),
);

function file(name: string): string {
  const path = join(directory, name.replaceAll('/', '-'));
  writeFileSync(path, scripts.get(name) ?? '');
  return path;
}

/** What bash offers for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const program = `source "$0"; COMP_WORDS=(lfsazsync "$@"); COMP_CWORD=$#; _lfsazsync; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { exitCode, stdout, stderr } = await run('bash', ['-c', program, file('bash/lfsazsync'), ...words]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('completion in bash', () => {
  it('offers the commands, and those that begin so', async () => {
    expect(await offered('')).toEqual(expect.arrayContaining(['archive', 'copytool', 'journal', 'scan']));
    expect(await offered('jou')).toEqual(['journal']);
  });

  it('goes down the words of a command', async () => {
    expect(await offered('copytool', '')).toEqual(['ctl']);
    expect(await offered('copytool', 'ctl', 're')).toEqual(['reload', 'resume']);
  });

  it('offers the flags of the command, short ones, too', async () => {
    expect(await offered('archive', '--older')).toEqual(['--older-than']);
    expect(await offered('archive', '/some/path', '-')).toEqual(
      expect.arrayContaining(['-r', '--recursive', '--json']),
    );
    expect(await offered('scan', '--older')).toEqual([]);
  });

  it('offers the values of a flag that has some', async () => {
    expect(await offered('scan', '--log-level', 'd')).toEqual(['debug']);
    expect(await offered('scan', '--path', '--')).toEqual([]);
  });
});

describe('completion in other shells', () => {
  it.skipIf(!zsh)('zsh can read it', async () => {
    expect(await run('zsh', ['-n', file('zsh/_lfsazsync')])).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it.skipIf(!fish)('fish offers what bash does', async () => {
    const path = file('fish/lfsazsync.fish');
    const ask = async (line: string) => {
      const { stdout, stderr } = await run('fish', ['-N', '-c', `source ${path}; complete -C '${line}'`]);
      expect(stderr).toBe('');
      return stdout.split('\n').map((text) => text.split('\t')[0]);
    };
    expect(await ask('lfsazsync copytool ctl re')).toEqual(expect.arrayContaining(['reload', 'resume']));
    expect(await ask('lfsazsync archive --older')).toContain('--older-than');
    expect(await ask('lfsazsync scan --log-level d')).toContain('debug');
  });
});

describe('manual pages', () => {
  const pages = manPages(commands, '1.2.3');

  it('are there for every command', () => {
    expect([...pages.keys()]).toContain('lfsazsync.1');
    expect(pages.size).toBe(commands.length + 1);
    expect(pages.get('lfsazsync-copytool-ctl-set.1')).toContain(
      'lfsazsync copytool ctl set bandwidth 500MiB/s'.replaceAll('-', '\\-'),
    );
  });

  it('hide no line from the reader by beginning like a request', () => {
    for (const [name, page] of pages)
      for (const line of page.split('\n'))
        if (/^[.']/.test(line)) expect(line, name).toMatch(/^\.(?:TH|SH|TP|B|BR|I|nf|fi|br|nh)(?: |$)/);
  });

  it.skipIf(!mandoc)('mandoc finds no errors in them', async () => {
    for (const [name, page] of pages) {
      const path = join(directory, name);
      writeFileSync(path, page);
      const { stdout } = await run('mandoc', ['-T', 'lint', '-W', 'error', path]);
      expect(stdout, name).toBe('');
    }
  });
});
