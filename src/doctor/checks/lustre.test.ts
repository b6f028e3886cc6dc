import { expect, test } from 'vitest';
import { parseMounts } from '../../lustre/mount-table.ts';
import { mount, sameSeries } from './lustre.ts';

/** A line of /proc/self/mounts, with these options. */
const look = (options: string, type = 'lustre') =>
  mount('/mnt/lustre', parseMounts(`10.0.0.4@tcp:/lustrefs /mnt/lustre ${type} ${options} 0 0\n`)[0]);

test('each option that lacks is told with what does not work without it, and how to get it', () => {
  const { status, evidence, fix } = look('rw,checksum,lazystatfs');
  expect(status).toBe('warning');
  expect(evidence).toMatch(/without flock \(.*lock.*\), user_xattr \(user\.\*/);
  expect(fix).toMatch(/^Add flock,user_xattr to the options/);
  expect(look('rw,flock').fix).toMatch(/^Add user_xattr to/);
  expect(look('rw,nouser_xattr,localflock').fix).toMatch(/^Add flock,user_xattr to/);
});

test('with both it is all right', () => {
  expect(look('rw,checksum,flock,user_xattr,lruresize')).toMatchObject({ status: 'ok' });
});

test('nothing there is a failure, another type of file system can’t be judged', () => {
  expect(mount('/mnt/lustre', undefined)).toMatchObject({ status: 'failed', fix: expect.stringContaining('flock') });
  expect(look('rw', 'fuse')).toMatchObject({ status: 'unknown' });
});

test('programs and a library of different series are a warning', () => {
  expect(sameSeries('2.15.7', '2.17.0')).toMatchObject({ status: 'warning', fix: expect.stringContaining('`lfs`') });
  expect(sameSeries('2.15.7', '2.15.8')).toMatchObject({ status: 'ok' });
});
