import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseFid } from '../identity/fid.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { argumentsFor, fileList, hsmRequest, lfsVersion } from './lfs.ts';

const fids = ['0x200000401:0x1:0x0', '0x200000401:0xff:0x0'].map((text) => {
  const fid = parseFid(text);
  if (fid === undefined) throw new Error(text);
  return fid;
});
const request = { action: 'archive', fids, mount: '/mnt/lustre' } as const;

test('a list names files by FID, one a line', () => {
  expect(fileList(request)).toBe(
    '/mnt/lustre/.lustre/fid/0x200000401:0x1:0x0\n/mnt/lustre/.lustre/fid/0x200000401:0xff:0x0\n',
  );
  expect(fileList({ ...request, unlinked: true })).toBe('0x200000401:0x1:0x0\n0x200000401:0xff:0x0\n');
});

test('arguments', () => {
  expect(argumentsFor(request, '/l')).toEqual(['hsm_archive', '--filelist', '/l']);
  expect(argumentsFor({ ...request, archive: 2, data: 'a b' }, '/l')).toEqual([
    ...['hsm_archive', '--archive', '2', '--data', 'a b', '--filelist', '/l'],
  ]);
  expect(argumentsFor({ ...request, action: 'remove', unlinked: true, archive: 1 }, '/l')).toEqual([
    ...['hsm_remove', '--archive', '1', '--mntpath', '/mnt/lustre', '--filelist', '/l'],
  ]);
});

describe('a request', () => {
  let folder: string;
  let lfs: string;
  /** A program in the place of lfs that keeps its arguments and its list, and ends as told. */
  const lfsThat = (ending: string) => {
    writeFileSync(
      lfs,
      `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/args\nfor list in "$@"; do :; done\ncp "$list" ${folder}/list\nstat -c %a "$list" > ${folder}/mode\necho "$LC_ALL" > ${folder}/locale\n${ending}\n`,
    );
    chmodSync(lfs, 0o755);
  };
  const kept = (name: string) => readFileSync(join(folder, name), 'utf8');
  const failure = (ending: string) => {
    lfsThat(ending);
    return hsmRequest({ ...request, lfs }).then(
      () => undefined,
      (error: unknown) => error,
    );
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lfsazsync-test-'));
    lfs = join(folder, 'lfs');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('hands over a list that only we can read, and takes it away', async () => {
    lfsThat('exit 0');
    await hsmRequest({ ...request, lfs });
    expect(kept('list')).toBe(fileList(request));
    expect(kept('mode')).toBe('600\n');
    expect(kept('locale')).toBe('C\n');
    const list = kept('args').trim().split('\n').at(-1) ?? '';
    expect(existsSync(dirname(list))).toBe(false);
  });

  test("gives lfs's status as the errno, and what it said", async () => {
    const error = await failure(`echo 'Cannot send HSM request (use of x): Argument list too long' >&2; exit 7`);
    expect(error).toBeInstanceOf(ErrnoError);
    expect(error).toMatchObject({ errno: 7, message: expect.stringContaining('Argument list too long') });
  });

  test('does not take a usage message for EINTR', async () => {
    expect(await failure(`echo 'error: "x" is not a regular file' >&2; exit 4`)).toMatchObject({ errno: 22 });
  });

  test('takes the list away after a failure, too', async () => {
    await failure('exit 1');
    const list = kept('args').trim().split('\n').at(-1) ?? '';
    expect(list).not.toBe('');
    expect(existsSync(dirname(list))).toBe(false);
  });

  test('names a program that is missing', async () => {
    const error = await hsmRequest({ ...request, lfs: join(folder, 'nope') }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(OperatorError);
    expect(error).toMatchObject({ code: 'PROGRAM_MISSING' });
  });

  test('for no files asks nothing', async () => {
    await hsmRequest({ ...request, fids: [], lfs: join(folder, 'nope') });
  });

  test('reads the version', async () => {
    writeFileSync(lfs, '#!/bin/sh\necho "lfs 2.15.5_1_gabc"\n');
    chmodSync(lfs, 0o755);
    expect(await lfsVersion(lfs)).toBe('2.15.5_1_gabc');
  });
});
