import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAuditLog } from './audit.ts';
import { openLog } from './log.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lfsazsync-log-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const linesOf = (file: string) =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('the service log', () => {
  it('writes one JSON object a line, with its fields and those of its parents', () => {
    const file = join(folder, 'deep', 'service.log');
    const log = openLog({ name: 'copytool', level: 'info', file });
    log.child({ archive: 1 }).info('archived', { fid: '0x1:0x2:0x0' });
    log.close();
    expect(linesOf(file)).toMatchObject([
      { level: 'info', service: 'copytool', pid: process.pid, archive: 1, fid: '0x1:0x2:0x0', msg: 'archived' },
    ]);
  });

  it('never writes a secret, wherever it hides', () => {
    const file = join(folder, 'service.log');
    const log = openLog({ name: 'x', level: 'info', file });
    const error = new Error('PUT https://a/c?sig=SECRETVALUE&se=1 failed', {
      cause: Object.assign(new Error('AccountKey=SECRETVALUE;'), {
        request: { headers: { authorization: 'SECRETVALUE' } },
      }),
    });
    log
      .child({ url: 'https://a/c?sig=SECRETVALUE' })
      .error('failed with sig=SECRETVALUE', { err: error, list: ['Bearer SECRETVALUE'] });
    log.close();
    expect(readFileSync(file, 'utf8')).not.toContain('SECRETVALUE');
    expect(linesOf(file)[0]).toMatchObject({ err: { message: 'PUT https://a/c?sig=[redacted]&se=1 failed' } });
  });

  it('changes its level while it runs, in children too', () => {
    const file = join(folder, 'service.log');
    const log = openLog({ name: 'x', level: 'warn', file });
    const child = log.child({});
    child.info('quiet');
    log.setLevel('debug');
    child.debug('loud');
    child.trace('quiet');
    log.close();
    expect(linesOf(file).map(({ msg }) => msg)).toEqual(['loud']);
  });

  it('goes on in a new file after it was moved away', () => {
    const file = join(folder, 'service.log');
    const log = openLog({ name: 'x', level: 'info', file });
    log.info('before');
    renameSync(file, `${file}.1`);
    log.reopen();
    log.info('after');
    log.close();
    expect(linesOf(`${file}.1`).map(({ msg }) => msg)).toEqual(['before']);
    expect(linesOf(file).map(({ msg }) => msg)).toEqual(['after']);
  });
});

describe.skipIf(process.getuid?.() !== 0)('on a disk that is full', () => {
  let disk: string;
  let filler: string;
  beforeEach(() => {
    disk = join(folder, 'disk');
    filler = join(disk, 'filler');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
  });
  afterEach(() => {
    execFileSync('umount', ['-l', disk]);
  });
  const fill = () => {
    try {
      for (;;) appendFileSync(filler, Buffer.alloc(4096));
    } catch {
      // it is full
    }
  };

  it('a log drops lines, counts them, says so, and goes on when there is room', () => {
    const file = join(disk, 'service.log');
    const log = openLog({ name: 'x', level: 'info', file });
    log.info('before');
    fill();
    for (let n = 0; n < 200; n++) log.info('in between', { n, text: 'x'.repeat(100) });
    const lost = log.dropped();
    expect(lost).toBeGreaterThan(100);
    rmSync(filler);
    log.info('after');
    log.close();
    const whole = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(whole[0]).toMatchObject({ msg: 'before' });
    expect(whole.at(-2)).toMatchObject({ msg: 'after' });
    expect(whole.at(-1)).toMatchObject({ level: 'warn', dropped: lost });
  });

  it('an audit log refuses its lines, and takes them again when there is room', async () => {
    const file = join(disk, 'audit.log');
    const audit = await openAuditLog(file);
    fill();
    const entry = { action: 'delete', archive: 1, blob: 'x'.repeat(5000), reason: 'dead' } as const;
    await expect(audit.record(entry)).rejects.toThrow(/nothing was deleted or overwritten/);
    rmSync(filler);
    await audit.record({ ...entry, blob: 'later' });
    await audit.close();
    expect(
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line.includes('"later"')),
    ).toHaveLength(1);
    expect(JSON.parse(readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ blob: 'later' });
  });
});

describe.skipIf(process.getuid?.() !== 0)('on a disk without room for another file', () => {
  let disk: string;
  let filler: string;
  beforeEach(() => {
    disk = join(folder, 'disk');
    filler = join(disk, 'filler');
    mkdirSync(disk);
    // The directory and the filler.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=2', 'tmpfs', disk]);
    writeFileSync(filler, '');
  });
  afterEach(() => {
    execFileSync('umount', ['-l', disk]);
  });

  it('a log starts all the same, and is made when there is room', () => {
    const file = join(disk, 'service.log');
    const log = openLog({ name: 'x', level: 'info', file });
    log.info('lost');
    log.reopen();
    log.info('lost');
    expect(log.dropped()).toBe(2);
    rmSync(filler);
    log.info('after');
    log.close();
    expect(linesOf(file)).toMatchObject([{ msg: 'after' }, { level: 'warn', dropped: 2 }]);
  });

  it('an audit log says so, refuses its lines, and is made when there is room', async () => {
    const file = join(disk, 'audit.log');
    const told: unknown[] = [];
    const audit = await openAuditLog(file, (error) => told.push(error));
    expect(told).toMatchObject([{ code: 'ENOSPC' }]);
    const entry = { action: 'delete', archive: 1, blob: 'x', reason: 'dead' } as const;
    await expect(audit.record(entry)).rejects.toMatchObject({ errno: constants.errno.ENOSPC });
    await expect(audit.reopen()).rejects.toMatchObject({ code: 'ENOSPC' });
    rmSync(filler);
    await audit.record({ ...entry, blob: 'later' });
    await audit.close();
    expect(linesOf(file)).toMatchObject([{ blob: 'later' }]);
  });
});

describe('a log that can’t be made for another reason than a full disk', () => {
  it('is the operator’s to know at once', async () => {
    const file = folder;
    expect(() => openLog({ name: 'x', level: 'info', file })).toThrow('EISDIR');
    await expect(openAuditLog(file)).rejects.toThrow('EISDIR');
  });
});

describe('the audit log', () => {
  it('keeps what was there, has every line on the disk when it says so, and is private', async () => {
    const file = join(folder, 'state', 'audit.log');
    for (const round of [1, 2]) {
      const audit = await openAuditLog(file);
      await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          audit.record({ action: 'delete', archive: round, blob: `dir/${i}\n"x"`, reason: 'the file is dead' }),
        ),
      );
      expect(linesOf(file)).toHaveLength(50 * round);
      await audit.close();
    }
    expect(linesOf(file)[50]).toMatchObject({ action: 'delete', archive: 2, blob: 'dir/0\n"x"' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('takes one line after the other', async () => {
    const file = join(folder, 'audit.log');
    const audit = await openAuditLog(file);
    for (let n = 0; n < 20; n++) await audit.record({ action: 'delete', archive: n, blob: 'b', reason: 'dead' });
    await audit.close();
    expect(linesOf(file).map(({ archive }) => archive)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it('begins a new line after one that was cut off before it was opened', async () => {
    const file = join(folder, 'audit.log');
    writeFileSync(file, '{"action":"del');
    const audit = await openAuditLog(file);
    await audit.record({ action: 'delete', archive: 1, blob: 'b', reason: 'dead' });
    await audit.close();
    expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[1] ?? '')).toMatchObject({ blob: 'b' });
  });

  it('has every line once, while it is moved away and reopened again and again under load', async () => {
    const file = join(folder, 'audit.log');
    const audit = await openAuditLog(file);
    const files = [file];
    // Longer than what is written at once, and asked for at any moment of a reopening.
    const text = 'x'.repeat(600_000);
    const lines: Promise<void>[] = [];
    const asking = (async () => {
      for (let n = 0; n < 60; n++) {
        lines.push(audit.record({ action: 'delete', archive: 1, blob: `${n}/${text}`, reason: 'dead' }));
        await nextTurn();
      }
    })();
    for (let n = 1; n <= 20; n++) {
      renameSync(file, `${file}.${n}`);
      files.push(`${file}.${n}`);
      await audit.reopen();
    }
    await asking;
    await Promise.all(lines);
    await audit.close();
    const blobs = files.filter((one) => statSync(one).size > 0).flatMap((one) => linesOf(one).map(({ blob }) => blob));
    expect(blobs).toHaveLength(60);
    expect(new Set(blobs).size).toBe(60);
  });

  it('loses no line when it is moved away and reopened', async () => {
    const file = join(folder, 'audit.log');
    const audit = await openAuditLog(file);
    const entry = { action: 'overwrite', archive: 1, blob: 'b', reason: 'newer' } as const;
    const first = audit.record(entry);
    renameSync(file, `${file}.1`);
    await audit.reopen();
    await Promise.all([first, audit.record(entry)]);
    await audit.close();
    expect(linesOf(`${file}.1`)).toHaveLength(1);
    expect(linesOf(file)).toHaveLength(1);
  });
});
