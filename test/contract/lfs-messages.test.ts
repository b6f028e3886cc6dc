import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { seam } from '../support/seam-tool.ts';
import { USER, useContract } from './fixture.ts';

// Messages and exit codes of lfs, as the product reads them. Facts: 03-hsm-basic.txt part A, 04-unlink-set-fid.txt.

const contract = useContract();

const ARCHIVE_USAGE = `Archive file to external storage.
usage: hsm_archive [--filelist FILELIST] [--data DATA]
		     [--archive NUM] FILE
`;

it('hsm_state shows flags, and says what has none (03, 04)', async () => {
  const it = contract.it;
  await it.write('fresh');
  await symlink('fresh', it.path('sl'));
  expect(await it.lfs(['hsm_state', 'fresh'])).toMatchObject({
    exitCode: 0,
    stdout: 'fresh: (0x00000000)\n',
    stderr: '',
  });
  expect(await it.lfs(['hsm_state', 'sl'])).toMatchObject({ exitCode: 0, stdout: 'sl: (0x00000000)\n' });
  expect(await it.lfs(['hsm_state', '.'])).toMatchObject({
    exitCode: 25,
    stderr: "lfs hsm_state: get HSM state for '.' failed: Inappropriate ioctl for device\n",
  });
  expect(await it.lfs(['hsm_state', 'missing'])).toMatchObject({
    exitCode: 2,
    stderr: "lfs hsm_state: get HSM state for 'missing' failed: No such file or directory\n",
  });
  expect(await it.lfs(['hsm_state', tmpdir()])).toMatchObject({
    exitCode: 25,
    stderr: `lfs hsm_state: get HSM state for '${tmpdir()}' failed: Inappropriate ioctl for device\n`,
  });
  expect(await it.lfs(['hsm_state'])).toMatchObject({
    exitCode: 4,
    stdout: 'Display the HSM information for given files.\nusage: hsm_state FILE\n',
  });
});

it('hsm_state goes on after a failure and ends with the first one (03)', async () => {
  const it = contract.it;
  await it.write('fresh');
  const result = await it.lfs(['hsm_state', 'fresh', 'missing', '.', 'fresh']);
  expect(result).toMatchObject({ exitCode: 2, stdout: 'fresh: (0x00000000)\nfresh: (0x00000000)\n' });
  expect(result.stderr).toContain("get HSM state for 'missing' failed: No such file or directory");
  expect(result.stderr).toContain("get HSM state for '.' failed: Inappropriate ioctl for device");
});

it('hsm_state of a fifo is refused, of everything for every user allowed (03, README 14)', async () => {
  const it = contract.it;
  const made = await it.sandbox.exec('mkfifo', [it.path('fifo')]);
  expect(made.exitCode).toBe(0);
  expect(await it.lfs(['hsm_state', 'fifo'])).toMatchObject({
    exitCode: 25,
    stderr: "lfs hsm_state: get HSM state for 'fifo' failed: Inappropriate ioctl for device\n",
  });
  await it.write('fresh');
  expect(await it.lfs(['hsm_state', 'fresh'], { uid: USER })).toMatchObject({
    exitCode: 0,
    stdout: 'fresh: (0x00000000)\n',
  });
});

it('hsm_action says NOOP, and what has none (03)', async () => {
  const it = contract.it;
  await it.write('idle');
  expect(await it.lfs(['hsm_action', 'idle'])).toMatchObject({ exitCode: 0, stdout: 'idle: NOOP\n' });
  expect(await it.lfs(['hsm_action', 'missing'])).toMatchObject({
    exitCode: 2,
    stderr: "lfs hsm_action: get hsm action for 'missing' failed: No such file or directory\n",
  });
  expect(await it.lfs(['hsm_action', '.'])).toMatchObject({
    exitCode: 25,
    stderr: "lfs hsm_action: get hsm action for '.' failed: Inappropriate ioctl for device\n",
  });
});

it('hsm_archive takes regular files of Lustre only (03)', async () => {
  const it = contract.it;
  await mkdir(it.path('d'));
  await it.write('file');
  await symlink('file', it.path('link'));
  for (const name of ['d', 'link']) {
    expect(await it.lfs(['hsm_archive', name])).toMatchObject({
      exitCode: 4,
      stdout: ARCHIVE_USAGE,
      stderr: `error: "${name}" is not a regular file\n`,
    });
  }
  expect(await it.lfs(['hsm_archive'])).toMatchObject({ exitCode: 4, stdout: ARCHIVE_USAGE });
  expect(await it.lfs(['hsm_archive', 'missing'])).toMatchObject({
    exitCode: 2,
    stderr: 'Cannot stat missing: No such file or directory\n',
  });
  const outside = `${it.sandbox.dir}/outside`;
  await writeFile(outside, 'x');
  expect(await it.lfs(['hsm_archive', outside])).toMatchObject({
    exitCode: 61,
    stderr: `Cannot read FID of ${outside}: No data available\n`,
  });
});

it('one missing file among many refuses the whole request (03, README 26)', async () => {
  const it = contract.it;
  await it.write('there');
  expect(await it.lfs(['hsm_archive', 'there', 'missing'])).toMatchObject({
    exitCode: 2,
    stderr: 'Cannot stat missing: No such file or directory\n',
  });
  expect(await it.action(it.path('there'))).toBe('NOOP');
});

it('release and remove of what has no copy (03)', async () => {
  const it = contract.it;
  await it.write('plain');
  expect(await it.lfs(['hsm_release', 'plain'])).toMatchObject({
    exitCode: 1,
    stderr: 'Cannot send HSM request (use of plain): Operation not permitted\n',
  });
  expect(await it.lfs(['hsm_release', 'missing'])).toMatchObject({
    exitCode: 2,
    stderr: 'Cannot stat missing: No such file or directory\n',
  });
  expect(await it.lfs(['hsm_release', '.'])).toMatchObject({
    exitCode: 4,
    stdout: 'Release files from Lustre.\nusage: hsm_release [--filelist FILELIST] [--data DATA] FILE\n',
    stderr: 'error: "." is not a regular file\n',
  });
  expect(await it.lfs(['hsm_cancel', 'missing'])).toMatchObject({
    exitCode: 2,
    stderr: 'Cannot stat missing: No such file or directory\n',
  });
});

it('path2fid (04)', async () => {
  const it = contract.it;
  await it.write('p');
  const fid = await it.fid(it.path('p'));
  expect(fid).toMatch(/^0x[0-9a-f]+:0x[0-9a-f]+:0x0$/);
  expect(await it.ok('path2fid', 'p')).toBe(`[${fid}]\n`);
  expect(await it.lfs(['path2fid', 'p', 'missing', 'p'])).toMatchObject({
    exitCode: 2,
    stdout: `p: [${fid}]\np: [${fid}]\n`,
    stderr: "lfs path2fid: cannot get fid for 'missing': No such file or directory\n",
  });
  expect(await it.lfs(['path2fid', tmpdir()])).toMatchObject({
    exitCode: 61,
    stderr: `lfs path2fid: cannot get fid for '${tmpdir()}': No data available\n`,
  });
  // A symlink has a FID of its own: it is not followed.
  await symlink('p', it.path('s'));
  expect(await it.ok('path2fid', 's')).not.toBe(`[${fid}]\n`);
});

it('fid2path finds every link, and says what it does not find (04)', async () => {
  const it = contract.it;
  const { mkdir: makeDirectory, link } = await import('node:fs/promises');
  await it.write('first');
  await makeDirectory(it.path('sub'));
  await link(it.path('first'), it.path('second'));
  await link(it.path('first'), it.path('sub/third'));
  const fid = await it.fid(it.path('first'));
  const { mount, tree } = it.sandbox;
  expect(await it.ok('fid2path', mount, `[${fid}]`)).toBe(
    ['first', 'second', 'sub/third'].map((name) => `${tree}/${name}\n`).join(''),
  );
  const fsname = it.sandbox.mdt.replace(/-MDT.*$/, '');
  const inside = tree.slice(mount.length + 1);
  expect(await it.ok('fid2path', fsname, fid)).toBe(`${inside}/first\n${inside}/second\n${inside}/sub/third\n`);
  expect(await it.lfs(['fid2path', fsname, '[0x200000401:0xdeadbeef:0x0]'])).toMatchObject({
    exitCode: 2,
    stderr: `lfs fid2path: cannot find ${fsname} [0x200000401:0xdeadbeef:0x0]: No such file or directory\n`,
  });
  expect(await it.lfs(['fid2path', fsname, 'bogus'])).toMatchObject({
    exitCode: 22,
    stderr: "lfs fid2path: invalid FID 'bogus'\n",
  });
  expect(await it.lfs(['fid2path', 'nofs', `[${fid}]`])).toMatchObject({
    exitCode: 19,
    stderr: "lfs fid2path: cannot resolve mount point for 'nofs': No such device\n",
  });
});

it('getname and df name the file system and its targets (02)', async () => {
  const it = contract.it;
  const fsname = it.sandbox.mdt.replace(/-MDT.*$/, '');
  expect(await it.ok('getname', it.sandbox.mount)).toMatch(new RegExp(`^${fsname}-[0-9a-f]+( .*)?\n$`));
  const df = await it.ok('df', it.sandbox.mount);
  const rows = df.split('\n');
  expect(rows[0]).toBe('UUID                   1K-blocks        Used   Available Use%  Mounted on');
  expect(df).toMatch(
    new RegExp(`^${fsname}-MDT0000_UUID +\\d+ +\\d+ +\\d+ +\\d+%  ${it.sandbox.mount}\\[MDT:0\\] $`, 'm'),
  );
  expect(df).toMatch(
    new RegExp(`^${fsname}-OST0000_UUID +\\d+ +\\d+ +\\d+ +\\d+%  ${it.sandbox.mount}\\[OST:0\\] $`, 'm'),
  );
  expect(df).toMatch(new RegExp(`^\n?filesystem_summary: +\\d+ +\\d+ +\\d+ +\\d+%  ${it.sandbox.mount} $`, 'm'));
  expect(await it.lfs(['df', '/nonexist'])).toMatchObject({
    exitCode: 2,
    stderr: "error: invalid path '/nonexist': No such file or directory\n",
  });
  expect((await it.lfs(['df', tmpdir()])).exitCode).toBe(95);
});

it('O_TMPFILE is refused (01)', async () => {
  const { rc } = await seam(['tmpfile', contract.it.tree]);
  expect(rc).toBe(-95);
});
