import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Job, PRIORITY, type Priority, Scheduler } from './scheduler.ts';

class Held implements Job {
  readonly priority: Priority;
  readonly alone: string;
  archives: readonly number[] = [1];
  kind = 'any';
  begun = false;
  readonly #order: Held[];
  #release: () => void = () => {};

  constructor(priority: Priority, order: Held[] = [], alone: string = randomUUID()) {
    this.priority = priority;
    this.alone = alone;
    this.#order = order;
  }

  run(): Promise<void> {
    this.begun = true;
    this.#order.push(this);
    return new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  async finish(): Promise<void> {
    this.#release();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

test('readers that wait go first, then restores, then the rest in the order they came', async () => {
  const order: Held[] = [];
  const scheduler = new Scheduler<Held>({ slots: 1, reserve: 0 });
  const first = new Held(PRIORITY.background, order);
  const jobs = [PRIORITY.background, PRIORITY.restore, PRIORITY.background, PRIORITY.blocking, PRIORITY.restore].map(
    (priority) => new Held(priority, order),
  );
  for (const job of [first, ...jobs]) scheduler.add(job);
  while (scheduler.running > 0) await order.at(-1)?.finish();
  expect(order).toEqual([first, jobs[3], jobs[1], jobs[4], jobs[0], jobs[2]]);
});

test('background jobs leave the reserve to restores', async () => {
  const scheduler = new Scheduler<Held>({ slots: 3, reserve: 1 });
  const archives = [1, 2, 3].map(() => new Held(PRIORITY.background));
  for (const job of archives) scheduler.add(job);
  expect(archives.map((job) => job.begun)).toEqual([true, true, false]);
  const restores = [new Held(PRIORITY.restore), new Held(PRIORITY.blocking)];
  for (const job of restores) scheduler.add(job);
  expect(restores.map((job) => job.begun)).toEqual([true, false]);
  await archives[0]?.finish();
  expect(restores[1]?.begun).toBe(true);
  expect(archives[2]?.begun).toBe(false);
  await restores[0]?.finish();
  expect(archives[2]?.begun).toBe(true);
  expect([scheduler.running, scheduler.queued]).toEqual([3, 0]);
});

test('restores may take every slot', () => {
  const scheduler = new Scheduler<Held>({ slots: 2, reserve: 1 });
  const restores = [1, 2, 3].map(() => new Held(PRIORITY.restore));
  for (const job of restores) scheduler.add(job);
  expect(restores.map((job) => job.begun)).toEqual([true, true, false]);
});

test('a job that has not begun can be taken out, one that has cannot', async () => {
  const scheduler = new Scheduler<Held>({ slots: 1, reserve: 0 });
  const [a, b, c] = [
    new Held(PRIORITY.background),
    new Held(PRIORITY.background),
    new Held(PRIORITY.background),
  ] as const;
  for (const job of [a, b, c]) scheduler.add(job);
  expect([scheduler.remove(a), scheduler.remove(b), scheduler.remove(b)]).toEqual([false, true, false]);
  expect(scheduler.takeQueued(PRIORITY.background)).toEqual([c]);
  await a.finish();
  expect([b.begun, c.begun]).toEqual([false, false]);
});

test('idle is when nothing runs and nothing waits', async () => {
  const scheduler = new Scheduler<Held>({ slots: 1, reserve: 0 });
  await scheduler.idle();
  const [a, b] = [new Held(PRIORITY.background), new Held(PRIORITY.background)] as const;
  scheduler.add(a);
  scheduler.add(b);
  let idle = false;
  const waiting = scheduler.idle().then(() => {
    idle = true;
  });
  await a.finish();
  expect(idle).toBe(false);
  await b.finish();
  await waiting;
  expect(idle).toBe(true);
});

const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

test('of one file only one job is at work at a time, restores first, and others go past', async () => {
  const order: Held[] = [];
  const scheduler = new Scheduler<Held>({ slots: 4, reserve: 0 });
  const archive = new Held(PRIORITY.background, order, 'file');
  const removal = new Held(PRIORITY.background, order, 'file');
  const restore = new Held(PRIORITY.restore, order, 'file');
  const other = new Held(PRIORITY.background, order, 'other');
  for (const job of [archive, removal, restore, other]) scheduler.add(job);
  expect(order).toEqual([archive, other]);
  await archive.finish();
  expect(order).toEqual([archive, other, restore]);
  await restore.finish();
  expect(order).toEqual([archive, other, restore, removal]);
});

test('a pause leaves the slot to others, keeps the file, and goes on before those that have not begun', async () => {
  const scheduler = new Scheduler<Held>({ slots: 1, reserve: 0 });
  const [paused, same] = [new Held(PRIORITY.restore, [], 'file'), new Held(PRIORITY.restore, [], 'file')];
  const [second, third] = [new Held(PRIORITY.restore), new Held(PRIORITY.restore)];
  for (const job of [paused, same, second, third]) scheduler.add(job);
  const { promise: wait, resolve: readable } = Promise.withResolvers<string>();
  let result: string | undefined;
  void scheduler
    .pause(paused, () => wait, new AbortController().signal)
    .then((value) => {
      result = value;
    });
  expect([same.begun, second.begun, third.begun]).toEqual([false, true, false]);
  readable('readable');
  await turns();
  expect(result).toBeUndefined();
  await second.finish();
  await turns();
  expect([result, third.begun]).toEqual(['readable', false]);
  await paused.finish();
  expect(same.begun).toBe(true);
});

test('what is stopped in a pause, or while it waits for a slot, comes to its end without one', async () => {
  const scheduler = new Scheduler<Held>({ slots: 1, reserve: 0 });
  const [paused, busy, next] = [0, 1, 2].map(() => new Held(PRIORITY.restore)) as [Held, Held, Held];
  for (const job of [paused, busy, next]) scheduler.add(job);
  const stop = new AbortController();
  const ended = scheduler.pause(paused, () => Promise.resolve('over'), stop.signal);
  await turns();
  stop.abort();
  expect(await ended).toBe('over');
  expect(scheduler.remove(paused)).toBe(false);
  await paused.finish();
  expect(next.begun).toBe(false);
  await busy.finish();
  expect(next.begun).toBe(true);
  const failing = scheduler.pause(next, () => Promise.reject(new Error('stopped')), new AbortController().signal);
  await expect(failing).rejects.toThrow('stopped');
  await next.finish();
  expect(scheduler.running).toBe(0);
  await scheduler.idle();
});

test('jobs of an archive that is held do not begin, and those at work leave their slots to others', async () => {
  const scheduler = new Scheduler<Held>({ slots: 2, reserve: 1 });
  const of = (archive: number, priority: Priority = PRIORITY.background) => {
    const job = new Held(priority);
    job.archives = [archive];
    scheduler.add(job);
    return job;
  };
  const reader = of(1, PRIORITY.restore);
  const writer = of(1);
  const [waiting, other, otherReader] = [of(1), of(2), of(2, PRIORITY.blocking)];
  expect([reader, writer, waiting, other, otherReader].map(({ begun }) => begun)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
  scheduler.hold(1);
  expect([waiting, other, otherReader].map(({ begun }) => begun)).toEqual([false, true, true]);
  expect(scheduler.isHeld(waiting)).toBe(true);
  expect(scheduler.isHeld(other)).toBe(false);
  await other.finish();
  expect(waiting.begun).toBe(false);
  scheduler.letGo(1);
  // There are more at work than there are slots now: nothing begins before some of them have ended.
  expect(waiting.begun).toBe(false);
  await otherReader.finish();
  await reader.finish();
  await writer.finish();
  expect(waiting.begun).toBe(true);
  await waiting.finish();
  expect(scheduler.running).toBe(0);
});

test('a job that needs several archives is held with any of them', () => {
  const scheduler = new Scheduler<Held>({ slots: 2, reserve: 0 });
  const job = new Held(PRIORITY.background);
  job.archives = [1, 2];
  scheduler.hold(2);
  scheduler.add(job);
  expect(job.begun).toBe(false);
  scheduler.letGo(2);
  expect(job.begun).toBe(true);
});

test('jobs of closed kinds wait, others go past them; what has begun goes on', async () => {
  const order: Held[] = [];
  const scheduler = new Scheduler<Held>({ slots: 2, reserve: 0 });
  const kind = (name: string, priority: Priority) => Object.assign(new Held(priority, order), { kind: name });
  const begun = kind('archive', PRIORITY.background);
  scheduler.add(begun);
  scheduler.setClosed(new Set(['archive']));
  const closed = kind('archive', PRIORITY.background);
  const restore = kind('restore', PRIORITY.restore);
  for (const job of [closed, restore]) scheduler.add(job);
  expect(order).toEqual([begun, restore]);
  await begun.finish();
  expect(closed.begun).toBe(false);
  expect(scheduler.queued).toBe(1);
  scheduler.setClosed(new Set(['restore']));
  expect(closed.begun).toBe(true);
  scheduler.setClosed(new Set(['archive', 'restore']));
  const others = [kind('archive', PRIORITY.background), kind('restore', PRIORITY.blocking)];
  for (const job of others) scheduler.add(job);
  expect(scheduler.takeClosed()).toEqual([others[1], others[0]]);
  expect(scheduler.queued).toBe(0);
});

test('more slots are used at once, fewer as jobs end', async () => {
  const order: Held[] = [];
  const scheduler = new Scheduler<Held>({ slots: 1, reserve: 0 });
  const jobs = Array.from({ length: 6 }, () => new Held(PRIORITY.background, order));
  for (const job of jobs) scheduler.add(job);
  expect(scheduler.running).toBe(1);
  scheduler.setOptions({ slots: 4, reserve: 0 });
  expect(scheduler.running).toBe(4);
  scheduler.setOptions({ slots: 2, reserve: 0 });
  expect(scheduler.running).toBe(4);
  for (const job of jobs.slice(0, 2)) await job.finish();
  expect(scheduler.running).toBe(2);
  await jobs[2]?.finish();
  expect([scheduler.running, jobs[4]?.begun]).toEqual([2, true]);
});

test('a job begins beside those of kinds that it may meet on the same file, and no other does', async () => {
  const scheduler = new Scheduler<Held>({ slots: 8, reserve: 0 });
  const made = (kind: string, beside?: readonly string[]) =>
    Object.assign(new Held(PRIORITY.background, [], 'file'), { kind, ...(beside === undefined ? {} : { beside }) });
  const archive = made('archive');
  const [restore, another] = [made('restore', ['archive']), made('restore', ['archive'])];
  const [later, removal] = [made('archive'), made('remove')];
  for (const job of [archive, restore, another, later, removal]) scheduler.add(job);
  expect([archive, restore, another, later, removal].map(({ begun }) => begun)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
  await archive.finish();
  expect([another, later, removal].map(({ begun }) => begun)).toEqual([false, false, false]);
  await restore.finish();
  expect([another, later, removal].map(({ begun }) => begun)).toEqual([true, false, false]);
  await another.finish();
  expect([later, removal].map(({ begun }) => begun)).toEqual([true, false]);
  await later.finish();
  await removal.finish();
  expect([scheduler.running, scheduler.queued]).toEqual([0, 0]);
});
