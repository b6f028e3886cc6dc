import { link, mkdir, rename, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type HeldStep, Steps } from '../../support/steps.ts';
import { waitUntil } from '../../support/wait.ts';
import { type Following, useFollowing } from './following.ts';

describe.each(['2.15', '2.17'] as const)('Lustre %s', (version) => {
  const following = useFollowing({ version });

  it('lesson 19: names that forge fields, or end a line, are nothing but names', async () => {
    const it = following.it;
    const names = [
      'x s=[0x200000401:0x1:0x0] sp=[0x200000007:0x1:0x0] y',
      'p=[0x1:0x2:0x3] fake',
      'new\nline 12 06UNLNK t=[0x200000007:0x1:0x0]',
      'quo"te\\ and , comma\t%s %41',
    ];
    for (const name of names) await it.write(join('forged', name));
    await it.archive();
    await it.inStep();
    await mkdir(it.path('forged to'));
    for (const name of names) await rename(it.path(join('forged', name)), it.path(join('forged to', `moved ${name}`)));
    await it.inStep();
    await rm(it.path('forged to'), { recursive: true });
    await it.inStep();
  });

  it('lessons 20, 24: symlinks, directories and links that move take everything along', async () => {
    const it = following.it;
    await it.write('deep/a/b/c/file');
    await symlink('../a/b', it.path('deep/a/symlink'));
    await link(it.path('deep/a/b/c/file'), it.path('deep/a/link'));
    await it.archive();
    await it.inStep();
    await it.release();
    // First the symlink alone: what moves with a directory is looked for anyway.
    await rename(it.path('deep/a/symlink'), it.path('deep/symlink, moved'));
    await it.inStep();
    await rename(it.path('deep/a/b'), it.path('deep/b, moved'));
    await rename(it.path('deep'), it.path('deep, moved'));
    await it.write('deep/a/b/c/file', 'another one at the old place');
    await it.archive();
    await it.inStep();
    // The name that had the content goes; the copy is not lost with it.
    await unlink(it.path('deep, moved/b, moved/c/file'));
    await it.inStep();
    await unlink(it.path('deep, moved/a/link'));
    await it.inStep();
  });

  it('lesson 37: what HSM records say differs by version; what is in the container does not', async () => {
    const it = following.it;
    const path = await it.write('hsm/file', 'first');
    await it.archive();
    await it.inStep();
    await it.release();
    await it.idle();
    expect(await it.findings()).toEqual([]);
    // Reading restores it, writing makes it another version.
    await truncate(path, 2);
    await it.write('hsm/file', 'second');
    await it.archive();
    await it.inStep();
    await it.run('remove', '--wait', path);
    await waitUntil('its blob is gone', async () =>
      (await it.findings()).some((line) => line.includes('hsm/file') && line.includes('no blob')),
    );
    await it.archive();
    await it.inStep();
  });

  it('lesson 38: records without a name carry wrong parents, which nobody believes', async () => {
    const it = following.it;
    const path = await it.write('one/file', '12345678');
    await it.archive();
    await it.inStep();
    // The MDT's record of the truncation shows the parent of whoever used its buffer last.
    await it.write('two/other');
    await truncate(path, 0);
    await it.write('one/file', '1234');
    await it.archive();
    await it.inStep();
  });
});

describe('records and kills', () => {
  const following = useFollowing();

  it('lessons 16, 17: killed between taking records in and clearing them, nothing is lost, and nothing is read twice for ever', async () => {
    const it = following.it;
    await it.write('killed/before');
    await it.archive();
    await it.inStep();
    const steps = new Steps(it.sandbox);
    for (const step of ['records.applied', 'records.cleared', 'marks.refreshed'] as const) {
      const held = steps.hold(step);
      await rename(it.path('killed'), it.path(`killed at ${step}`));
      await held.reached();
      const killing = it.follower.kill('program');
      held.release();
      await killing;
      await it.inStep();
      await rename(it.path(`killed at ${step}`), it.path('killed'));
      await it.inStep();
    }
    await it.idle();
    await it.follower.kill('all');
    const { counters } = await it.idle();
    // Only what was not cleared comes again, and that is little.
    expect(counters['records']).toBeLessThan(10);
  });

  it('lesson 16: while the container can not be reached, records are kept in the journal, not lost', async () => {
    const it = following.it;
    await it.write('outage/file');
    await it.archive();
    await it.inStep();
    await it.idle();
    it.faults.add({ what: 'refused', at: '', times: 1_000_000 });
    await rename(it.path('outage'), it.path('outage, moved'));
    await waitUntil('the records are taken in', async () => {
      const { mdts, journal } = await it.status();
      return journal.waiting > 0 && mdts.every(({ lag }) => lag.caughtUp);
    });
    await it.follower.process.crash();
    it.faults.clear();
    await it.follower.start();
    await it.inStep();
  });
});

describe('scans beside changes', () => {
  const following = useFollowing();

  const kinds = (it: Following): readonly ((name: string) => Promise<unknown>)[] => [
    (name) => rename(it.path(`${name}/a`), it.path(`${name}/a, moved`)),
    (name) => unlink(it.path(`${name}/b`)),
    (name) => mkdir(it.path(`${name}/new`)),
    (name) => rename(it.path(name), it.path(`${name}, moved`)),
    (name) => rm(it.path(name), { recursive: true }),
    (name) => symlink('a', it.path(`${name}/symlink`)),
  ];

  /** Makes `top`, with directories and files in them. */
  async function grown(it: Following, top: string): Promise<void> {
    for (let directory = 0; directory < 30; directory++)
      for (const file of ['a', 'b', 'c']) await it.write(`${top}/d${directory}/${file}`);
  }

  /**
   * One of each kind of change after the other, while a walk goes slowly through it: between two of its batches, and when
   * it goes on by itself.
   */
  async function changed(it: Following, top: string, held: HeldStep): Promise<void> {
    await held.reached();
    for (let directory = 0; directory < 30; directory++) {
      await kinds(it)[directory % kinds(it).length]?.(`${top}/d${directory}`);
      if (directory === 17) held.release();
    }
    await it.sandbox.simctl(['fault', 'clear=all']);
  }

  /** Holds the next scan's first batch, and slows all of its walk. */
  async function slowScan(it: Following): Promise<HeldStep> {
    await it.sandbox.simctl(['fault', 'set=slow:readdir,ms=60']);
    return new Steps(it.sandbox).hold('scan.batch');
  }

  it('lesson 18: what happens while the first scan is at work is not lost', async () => {
    const it = following.it;
    await it.follower.stop();
    await grown(it, 'first');
    await it.sandbox.exec('sh', ['-c', `rm -f "${it.sandbox.dir}/state/catalog.db"*`]);
    const held = await slowScan(it);
    await it.follower.start();
    await changed(it, 'first', held);
    await it.archive();
    await it.inStep();
  });

  it('the same beside a scan that is asked for, of files that are archived', async () => {
    const it = following.it;
    await grown(it, 'second');
    await it.archive();
    await it.inStep();
    const held = await slowScan(it);
    const scan = it.sandbox.startService(['scan', '--restart'], new Steps(it.sandbox).env);
    await changed(it, 'second', held);
    // 3: it met directories on their way out, and says so.
    expect([0, 3], scan.log.text()).toContain((await scan.exited()).exitCode);
    await it.inStep();
  });
});

describe("the seed document's mask", () => {
  const following = useFollowing({}, '-XATTR-LYOUT');

  it('no XATTR and no LYOUT records are needed', async () => {
    const it = following.it;
    await it.write('masked/file', 'x');
    await mkdir(it.path('masked/dir'));
    await symlink('nowhere', it.path('masked/symlink'));
    await it.archive();
    await it.inStep();
    await it.release();
    await it.run('restore', '--wait', it.path('masked/file'));
    await rename(it.path('masked/file'), it.path('masked/dir/file'));
    await it.sandbox.exec('chmod', ['4750', it.path('masked/dir/file')]);
    await it.sandbox.exec('chown', ['1000:1001', it.path('masked/dir')]);
    await it.inStep();
    await it.release();
    await rename(it.path('masked'), it.path('masked, moved'));
    await it.write('masked/file', 'a new one');
    await it.archive();
    await it.inStep();
    await rm(it.path('masked, moved'), { recursive: true });
    await it.inStep();
    const { stdout } = await it.sandbox.lfs(['changelog', it.sandbox.mdt]);
    expect(stdout).not.toMatch(/\b(15XATTR|12LYOUT)\b/);
    await writeFile(it.path('last'), '');
  });
});
