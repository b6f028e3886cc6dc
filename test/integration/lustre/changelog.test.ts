import { link, mkdir, rename, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ROOT_FID } from '../../../src/identity/fid.ts';
import { ChangelogReader } from '../../../src/lustre/changelog-reader.ts';
import { type ChangelogRecord, RecordType } from '../../../src/lustre/changelog-record.ts';
import { ERRNO } from '../../../src/lustre/errno.ts';
import { Scanner } from '../../../src/lustre/scanner.ts';
import { BugError, ErrnoError } from '../../../src/service/errors.ts';
import { helperPath } from '../../support/project.ts';
import type { Sandbox } from '../../support/sandbox.ts';
import { Daemon, useStandIn } from '../lustre-sim/fixture.ts';

const readers: ChangelogReader[] = [];

/** The library finds an MDT by its name: of the stand-ins on this machine, ours. */
function findBy(sandbox: Sandbox): void {
  process.env['LUSTRE_SIM_DIR'] = sandbox.env['LUSTRE_SIM_DIR'];
}

afterEach(async () => {
  await Promise.all(readers.splice(0).map((reader) => reader.close()));
});

describe.each(['2.15', '2.17'] as const)('Lustre %s', (version) => {
  const standIn = useStandIn({ version });
  let user = '';
  beforeAll(async () => {
    findBy(standIn.it.sandbox);
    user = await register();
  });

  async function register(): Promise<string> {
    const { sandbox } = standIn.it;
    return (await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_register', '-n'])).stdout.trim();
  }

  async function open(options: { start?: number; user?: string } = {}): Promise<ChangelogReader> {
    const { mount, mdt, llapi } = standIn.it.sandbox;
    const reader = await ChangelogReader.start({
      ...{ mount, mdt, liblustreapi: llapi, helper: helperPath, user, interval: 50 },
      ...options,
    });
    readers.push(reader);
    return reader;
  }

  /** All records from an index to the newest. */
  async function records(start?: number): Promise<ChangelogRecord[]> {
    const reader = await open(start === undefined ? {} : { start });
    const all: ChangelogRecord[] = [];
    for await (const event of reader) {
      if (event.kind === 'records') all.push(...event.records);
      else if (event.kind === 'end') break;
      else throw new Error(`unexpected: ${JSON.stringify(event)}`);
    }
    await reader.close();
    return all;
  }

  /** The records that the work causes. */
  async function caused(work: () => Promise<unknown>): Promise<ChangelogRecord[]> {
    const reader = await open();
    const before = await reader.lastIndex();
    await reader.close();
    await work();
    return await records(before + 1);
  }

  it('names that would forge or break lines of text come as the bytes that they are', async () => {
    const names = [
      'new\nline',
      ' s=[0x1:0x1:0x0] sp=[0x1:0x2:0x0] old',
      'été-日本語',
      '\u0001\u007f"\\',
      'L'.repeat(255),
    ].map((name) => Buffer.from(name));
    names.push(Buffer.from([0x62, 0xff, 0xfe]), Buffer.from([0xed, 0xa0, 0x80]));
    const tree = Buffer.from(`${standIn.it.tree}/`);
    const made = await caused(async () => {
      for (const name of names) await writeFile(Buffer.concat([tree, name]), '');
    });
    const creates = made.filter((record) => record.type === RecordType.CREAT);
    expect(creates.map((record) => record.name)).toEqual(names);
    const parent = await standIn.it.fid(standIn.it.tree);
    for (const record of creates) {
      expect(record).toMatchObject({ parent, uid: 0, gid: 0, sourceFid: null, sourceName: null, xattr: null });
      expect(Math.abs(record.time - Date.now())).toBeLessThan(600_000);
    }
    expect(made.map((record) => record.index)).toEqual(made.map((_, i) => (made[0]?.index ?? 0) + i));
    // Nameless records have no parent, whatever Lustre has in that place.
    const closes = made.filter((record) => record.type === RecordType.CLOSE);
    expect(closes).toHaveLength(names.length);
    for (const record of closes) expect(record).toMatchObject({ name: null, parent: null });
  });

  it('a record without a name has no directory: what Lustre shows there is any (lesson 38)', async () => {
    const { it } = standIn;
    for (const directory of ['one', 'two']) await mkdir(it.path(directory));
    const made = await caused(async () => {
      await writeFile(it.path('one/file'), '1234');
      await writeFile(it.path('two/other'), '');
      await truncate(it.path('one/file'), 1);
    });
    expect((await it.ok('changelog', it.sandbox.mdt)).split('\n').findLast((line) => line.includes('TRUNC'))).toMatch(
      / p=\[/,
    );
    expect(made.find(({ type }) => type === RecordType.TRUNC)).toMatchObject({ name: null, parent: null });
    for (const { name, parent } of made) expect(parent === null).toBe(name === null);
  });

  it('renames say what went where and who had to go; links, symlinks, directories and xattrs what they are', async () => {
    const c = standIn.it;
    await writeFile(c.path('a'), 'a');
    await writeFile(c.path('victim'), 'v');
    const [a, victim] = [await c.fid(c.path('a')), await c.fid(c.path('victim'))];
    const [first, onto] = (
      await caused(async () => {
        await rename(c.path('a'), c.path('b s=[ c'));
        await rename(c.path('b s=[ c'), c.path('victim'));
      })
    ).filter((record) => record.type === RecordType.RENME);
    const parent = await c.fid(c.tree);
    expect(first).toMatchObject({ fid: null, parent, name: Buffer.from('b s=[ c') });
    expect(first).toMatchObject({ sourceFid: a, sourceParent: parent, sourceName: Buffer.from('a') });
    expect(onto).toMatchObject({ fid: victim, flags: 1, name: Buffer.from('victim'), sourceFid: a });

    const made = await caused(async () => {
      await mkdir(c.path('dir'));
      await link(c.path('victim'), c.path('dir/second'));
      await symlink('nowhere', c.path('dir/link'));
      await unlink(c.path('dir/second'));
      await c.sandbox.exec('python3', [
        '-c',
        'import os,sys; os.setxattr(sys.argv[1], "user.x", b"y")',
        c.path('victim'),
      ]);
    });
    const dir = await c.fid(c.path('dir'));
    expect(
      made.map((record) => [
        record.type,
        record.fid === a,
        record.parent,
        record.name?.toString() ?? null,
        record.xattr,
      ]),
    ).toEqual([
      [RecordType.MKDIR, false, parent, 'dir', null],
      [RecordType.HLINK, true, dir, 'second', null],
      [RecordType.SLINK, false, dir, 'link', null],
      [RecordType.UNLNK, true, dir, 'second', null],
      [RecordType.XATTR, true, null, null, 'user.x'],
    ]);
  });

  it('what comes later is told without asking, in order and once, and last_index runs ahead of the reader', async () => {
    const c = standIn.it;
    const reader = await open({ start: Math.max(1, await (await open()).lastIndex()) + 1 });
    const first = (await reader.lastIndex()) + 1;
    const events = reader[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ kind: 'end', next: first });
    const wanted = 300;
    const work = (async () => {
      for (let i = 0; i < wanted; i++) await mkdir(c.path(`later-${i}`));
    })();
    const names: string[] = [];
    let next = first;
    while (names.length < wanted) {
      const { value, done } = await events.next();
      if (done === true) throw new Error('the events ended');
      if (value.kind !== 'records') continue;
      for (const record of value.records) {
        expect(record.index).toBe(next++);
        names.push(String(record.name));
      }
    }
    await work;
    expect(names).toEqual(Array.from({ length: wanted }, (_, i) => `later-${i}`));
    expect(await reader.lastIndex()).toBe(next - 1);
  });

  it('clearing: what was told and no more, never everything, and it says when the user is gone or ahead', async () => {
    const c = standIn.it;
    const own = await register();
    const reader = await open({ user: own });
    const last = await reader.lastIndex();
    for await (const event of reader) if (event.kind === 'end') break;
    const shown = async (): Promise<string> => {
      const out = (await c.sandbox.serverLctl(['get_param', '-n', `mdd.${c.sandbox.mdt}.changelog_users`])).stdout;
      return new RegExp(`^${own}\\s+(\\d+)`, 'm').exec(out)?.[1] ?? 'none';
    };
    const before = await shown();
    for (const index of [0, -1, 1.5, Number.NaN]) await expect(reader.clear(index)).rejects.toBeInstanceOf(BugError);
    await mkdir(c.path('not-told'));
    const ahead = reader.clear((await reader.lastIndex()) + 1000);
    await expect(ahead).rejects.toSatisfy((error) => error instanceof ErrnoError && error.errno === ERRNO.EINVAL);
    expect(await shown(), 'nothing was cleared').toBe(before);
    await reader.clear(last);
    expect(await shown()).toBe(String(last));
    await reader.clear(last);
    await expect(reader.clear(last - 1)).rejects.toMatchObject({ code: 'CHANGELOG_USER_GONE' });
    expect((await c.sandbox.serverLctl(['--device', c.sandbox.mdt, 'changelog_deregister', own])).exitCode).toBe(0);
    await expect(reader.clear(last)).rejects.toMatchObject({ code: 'CHANGELOG_USER_GONE' });
  });

  it('a start beyond the newest record, and an MDT that is not there, are refused', async () => {
    const last = await (await open()).lastIndex();
    await expect(open({ start: last + 2 })).rejects.toMatchObject({ code: 'CHANGELOG_RESET' });
    await open({ start: last + 1 });
    const { mount, llapi } = standIn.it.sandbox;
    const missing = { mount, liblustreapi: llapi, helper: helperPath, mdt: 'lustrefs-MDT0077' };
    await expect(ChangelogReader.start(missing)).rejects.toMatchObject({ code: 'NO_CHANGELOG' });
  });

  it('the helper killed in the middle: the events end with an error, and a new one goes on without a gap', async () => {
    const c = standIn.it;
    for (let i = 0; i < 2500; i++) await mkdir(c.path(`many-${i}`));
    const all = (await records()).map((record) => record.index);
    const reader = await open();
    const seen: number[] = [];
    const death = (async () => {
      for await (const event of reader) {
        if (event.kind !== 'records') continue;
        seen.push(...event.records.map((record) => record.index));
        process.kill(reader.pid, 'SIGKILL');
      }
    })();
    await expect(death).rejects.toMatchObject({ code: 'HELPER_GONE' });
    expect(seen.length).toBeGreaterThan(0);
    const rest = await records((seen.at(-1) ?? 0) + 1);
    expect([...seen, ...rest.map((record) => record.index)]).toEqual(all);
  });
});

describe('a metadata server that goes away', () => {
  const standIn = useStandIn();

  it('is told, and its changelog opened again where it was left', async () => {
    const c = standIn.it;
    const { mount, mdt, llapi } = c.sandbox;
    findBy(c.sandbox);
    await c.sandbox.serverLctl(['--device', mdt, 'changelog_register']);
    const reader = await ChangelogReader.start({ mount, mdt, liblustreapi: llapi, helper: helperPath, interval: 50 });
    readers.push(reader);
    await mkdir(c.path('before'));
    const daemon = new Daemon(c.sandbox);
    const told: string[] = [];
    let lost = false;
    for await (const event of reader) {
      if (event.kind === 'records') told.push(...event.records.map((record) => String(record.name)));
      if (event.kind === 'end' && told.length === 1 && !lost) await daemon.kill();
      if (event.kind === 'lost' && !lost) {
        lost = true;
        await daemon.start();
        await mkdir(c.path('after'));
      }
      if (event.kind === 'reopened') expect(lost).toBe(true);
      if (event.kind === 'end' && told.includes('after')) break;
    }
    expect(told.filter((name) => name !== 'null')).toEqual(['before', 'after']);
  });
});

describe('several metadata servers', () => {
  const standIn = useStandIn({ mdts: 3 });

  it('have a changelog, indexes and users of their own, read and cleared one by one; a scan walks over all', async () => {
    const c = standIn.it;
    const { mount, llapi, mdt } = c.sandbox;
    findBy(c.sandbox);
    const names = [0, 1, 2].map((index) => mdt.replace(/0000$/, `000${index}`));
    for (const name of names) await c.sandbox.serverLctl(['--device', name, 'changelog_register', '-n']);
    for (const index of [0, 1, 2]) {
      const dir = c.path(`on-${index}`);
      await c.ok('mkdir', '-i', String(index), dir);
      for (let i = 0; i <= index; i++) await writeFile(`${dir}/file-${i}`, '');
    }
    for (const [index, name] of names.entries()) {
      const options = { mount, mdt: name, liblustreapi: llapi, helper: helperPath, user: 'cl1', interval: 50 };
      const reader = await ChangelogReader.start(options);
      readers.push(reader);
      const all: ChangelogRecord[] = [];
      for await (const event of reader) {
        if (event.kind === 'end') break;
        if (event.kind === 'records') all.push(...event.records);
      }
      expect(all.map((record) => record.index)).toEqual(all.map((_, i) => i + 1));
      const made = all.filter((record) => record.type === RecordType.CREAT);
      expect(made.map((record) => String(record.name))).toEqual(
        Array.from({ length: index + 1 }, (_, i) => `file-${i}`),
      );
      await reader.clear(all.length);
      const later = await ChangelogReader.start({ ...options, start: all.length + 1 });
      readers.push(later);
      const events = later[Symbol.asyncIterator]();
      expect((await events.next()).value).toEqual({ kind: 'end', next: all.length + 1 });
    }
    const scanner = await Scanner.start({ mount, liblustreapi: llapi, helper: helperPath });
    const seen: string[] = [];
    for await (const batch of scanner.walk([ROOT_FID])) seen.push(...batch.entries.map((entry) => String(entry.name)));
    await scanner.close();
    expect(seen.filter((name) => name.startsWith('file-'))).toHaveLength(6);
  });
});
