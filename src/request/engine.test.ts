import { linkSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Fid } from '../identity/fid.ts';
import type { FileAttributes, Target } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import { type CurrentAction, HSM, type HsmState } from '../lustre/hsm-state.ts';
import type { HsmRequest } from '../lustre/lfs.ts';
import { ErrnoError } from '../service/errors.ts';
import { type RequestOptions, runRequest } from './engine.ts';
import type { RequestSummary } from './tally.ts';

const IDLE: CurrentAction = { action: 'NOOP', state: 'none', done: 0n };
const CLEAN = HSM.EXISTS | HSM.ARCHIVED;

/** HSM states for the files of a real directory, and a coordinator that takes at most 52 files a request. */
class Simulated {
  readonly states = new Map<Fid, HsmState>();
  readonly actions = new Map<Fid, CurrentAction>();
  readonly requests: HsmRequest[] = [];
  /** Answers instead, when it gives something. */
  refuse: (request: HsmRequest) => number | undefined = () => undefined;

  getMany = async (targets: readonly Target[]): Promise<(FileAttributes | ErrnoError)[]> =>
    await Promise.all(targets.map((target) => this.#get(target)));

  send = async (request: HsmRequest): Promise<void> => {
    this.requests.push(request);
    const refused = this.refuse(request) ?? (request.fids.length > 52 ? ERRNO.E2BIG : undefined);
    if (refused !== undefined) throw new ErrnoError(refused, 'hsm');
    for (const fid of request.fids) {
      const { states } = this.#state(fid);
      if (request.action === 'release') this.states.set(fid, { states: states | HSM.RELEASED, archive: 1 });
      else if (request.action === 'archive') this.states.set(fid, { states: CLEAN, archive: request.archive ?? 1 });
    }
  };

  #state(fid: Fid): HsmState {
    return this.states.get(fid) ?? { states: 0, archive: 0 };
  }

  async #get(target: Target): Promise<FileAttributes | ErrnoError> {
    if ('fid' in target) {
      const hsm = this.#state(target.fid);
      return { fid: target.fid, hsm, action: this.actions.get(target.fid) ?? IDLE, errors: new Map() };
    }
    const stat = await lstat(target.path, { bigint: true }).catch(() => undefined);
    if (stat === undefined) return new ErrnoError(ERRNO.ENOENT, 'get');
    const fid = fidOf(stat.ino);
    return {
      fid,
      stat: {
        type: stat.isFile() ? 'file' : 'dir',
        ...{ mode: 0, uid: 0, gid: 0, size: stat.size, blocks: 0n, nlink: Number(stat.nlink), rdev: 0n },
        ...{ atime: 0n, mtime: stat.mtimeNs, ctime: 0n },
      },
      hsm: this.#state(fid),
      action: this.actions.get(fid) ?? IDLE,
      errors: new Map(),
    };
  }
}

const fidOf = (inode: bigint) => `0x1:0x${inode.toString(16)}:0x0` as Fid;

let mount: string;
let lustre: Simulated;
beforeEach(() => {
  mount = realpathSync(mkdtempSync(join(tmpdir(), 'lfsazsync-test-')));
  lustre = new Simulated();
});
afterEach(() => rmSync(mount, { recursive: true }));

function files(count: number, directory = ''): string[] {
  mkdirSync(join(mount, directory), { recursive: true });
  const paths = Array.from({ length: count }, (_, index) => join(mount, directory, `f${index}`));
  for (const path of paths) writeFileSync(path, 'data');
  return paths;
}
const fidAt = async (path: string) => fidOf((await lstat(path, { bigint: true })).ino);

async function run(options: Partial<RequestOptions> = {}): Promise<RequestSummary> {
  const { getMany, send } = lustre;
  const summary = await runRequest({
    verb: 'archive',
    files: { getMany },
    mount,
    send,
    paths: [Buffer.from(mount)],
    recursive: true,
    filters: {},
    batch: 50,
    parallel: 3,
    dryRun: false,
    onEvent: () => {},
    ...options,
  });
  const ends = Object.values(summary.outcomes).reduce((sum, files) => sum + files, 0);
  expect(ends).toBe(summary.selected);
  return summary;
}
const nonZero = (summary: RequestSummary) =>
  Object.fromEntries(Object.entries(summary.outcomes).filter(([, files]) => files > 0));

describe('a run', () => {
  test('asks for each file once, in batches', async () => {
    files(330);
    expect(nonZero(await run())).toEqual({ asked: 330 });
    expect(lustre.requests.map(({ fids }) => fids.length).sort()).toEqual([30, 50, 50, 50, 50, 50, 50]);
    expect(new Set(lustre.requests.flatMap(({ fids }) => fids)).size).toBe(330);
  });

  test('a dry run makes the same choice, and sends nothing', async () => {
    files(120);
    const named: string[] = [];
    const onEvent: RequestOptions['onEvent'] = (event) => {
      if (event.type === 'would_ask') named.push(event.file.path.toString());
    };
    expect(nonZero(await run({ dryRun: true, onEvent, wait: { pollInterval: 5 } }))).toEqual({ would_ask: 120 });
    expect(new Set(named).size).toBe(120);
    expect(lustre.requests).toEqual([]);
  });

  test('a file that belongs to an archive stays in it; a request has one archive id', async () => {
    const [first = '', second = ''] = files(2);
    lustre.states.set(await fidAt(first), { states: CLEAN | HSM.DIRTY, archive: 7 });
    expect(nonZero(await run({ archive: 2 }))).toEqual({ asked: 2 });
    const asked = new Map(lustre.requests.map(({ fids, archive }) => [fids[0], archive]));
    expect(asked).toEqual(
      new Map([
        [await fidAt(first), 7],
        [await fidAt(second), 2],
      ]),
    );
  });

  test('an archive that is asked for explicitly is not changed behind the operator’s back', async () => {
    const [path = ''] = files(1);
    lustre.states.set(await fidAt(path), { states: CLEAN | HSM.DIRTY, archive: 7 });
    const summary = await run({ archive: 2, forceArchive: true });
    expect(summary.reasons).toMatchObject([{ code: 'OTHER_ARCHIVE', files: 1 }]);
    expect(lustre.requests).toEqual([]);
  });

  test('overlapping paths and hard links are one file each', async () => {
    const [path = ''] = files(3, 'a/b');
    linkSync(path, join(mount, 'a/other'));
    const paths = ['a/b', 'a', 'a/b/f0', '', 'a'].map((name) => Buffer.from(join(mount, name)));
    const summary = await run({ paths });
    expect([summary.selected, nonZero(summary)]).toEqual([3, { asked: 3 }]);
    const backwards = await run({ paths: [...paths].reverse() });
    expect([backwards.selected, nonZero(backwards)]).toEqual([3, { unneeded: 3 }]);
  });

  test('a shut-down coordinator stops it, and every file is accounted for', async () => {
    files(1200);
    let sent = 0;
    lustre.refuse = () => {
      sent += 1;
      return sent > 4 ? ERRNO.EAGAIN : undefined;
    };
    const summary = await run();
    expect(summary.exit).toBe('tryAgain');
    expect(summary.stoppedBy).toMatchObject({ code: 'COORDINATOR_DOWN' });
    expect(summary.outcomes.asked).toBe(200);
    expect(summary.outcomes.unasked).toBe(summary.selected - 200);
  });

  test('an abort stops it between two requests', async () => {
    files(1000);
    const abort = new AbortController();
    lustre.refuse = () => {
      if (lustre.requests.length === 3) abort.abort(new Error('stop'));
      return undefined;
    };
    const summary = await run({ signal: abort.signal, parallel: 1 });
    expect(summary.stoppedBy).toMatchObject({ message: 'stop' });
    expect(summary.outcomes.asked).toBe(150);
  });

  test('lost contact with Lustre stops it, with what was done counted', async () => {
    files(60);
    lustre.refuse = (request) => {
      if (lustre.requests.length === 2) throw new Error(`lfs hsm_${request.action} is gone`);
      return undefined;
    };
    const summary = await run({ parallel: 1 });
    expect(summary.stoppedBy).toMatchObject({ message: 'lfs hsm_archive is gone' });
    expect(nonZero(summary)).toEqual({ asked: 50, unasked: 10 });
  });

  test('no files below a directory is no failure', async () => {
    const summary = await run();
    expect([summary.selected, summary.exit]).toEqual([0, 'ok']);
  });
});

describe('a release', () => {
  const archived = async (count: number) => {
    const paths = files(count);
    for (const path of paths) lustre.states.set(await fidAt(path), { states: CLEAN, archive: 1 });
    return paths;
  };

  test('is asked for only where the copy was verified', async () => {
    const paths = await archived(40);
    const bad = new Set(await Promise.all(paths.slice(0, 7).map(fidAt)));
    const verify: NonNullable<RequestOptions['verifier']>['verify'] = async ({ fid }) =>
      bad.has(fid) ? { ok: false, reason: 'nothing there', searched: true } : { ok: true };
    const summary = await run({ verb: 'release', verifier: { verify } });
    expect(nonZero(summary)).toEqual({ done: 33, refused: 7 });
    expect(summary.problems[0]?.text).toMatch(/nothing there/);
    for (const fid of bad) expect(lustre.states.get(fid)?.states).toBe(CLEAN);
  });

  test('stops when copies can’t be verified at all, with nothing released', async () => {
    await archived(40);
    const verify = () => Promise.reject(new Error('no network'));
    const summary = await run({ verb: 'release', verifier: { verify } });
    expect(summary.stoppedBy).toMatchObject({ message: 'no network' });
    expect([lustre.requests, nonZero(summary)]).toEqual([[], { unasked: 40 }]);
  });

  test('a file that changed since it was looked at is left out, and the rest is released', async () => {
    const paths = await archived(30);
    const changed = await fidAt(paths[4] as string);
    lustre.refuse = ({ fids }) => {
      if (!fids.includes(changed)) return undefined;
      lustre.states.set(changed, { states: CLEAN | HSM.DIRTY, archive: 1 });
      return ERRNO.EPERM;
    };
    const summary = await run({ verb: 'release' });
    expect(nonZero(summary)).toEqual({ done: 29, refused: 1 });
    expect(summary.problems).toMatchObject([{ code: 'DIRTY' }]);
    expect(lustre.requests).toHaveLength(2);
  });
});
