import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Fid } from '../identity/fid.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { type Answer, askFor, BatchSize, type SecondLook } from './ask.ts';
import type { RequestFile } from './types.ts';

/** What a file is like, for the simulated coordinator. */
type Nature = 'good' | 'vanished' | 'refused' | 'stubborn' | 'done' | 'turns_bad';

interface Simulated extends RequestFile {
  nature: Nature;
  queued: number;
}

const fileOf = (nature: Nature, index: number): Simulated => ({
  fid: `0x200000401:0x${index.toString(16)}:0x0` as Fid,
  path: Buffer.from(`f${index}`),
  size: 1n,
  hsm: { states: 0, archive: 0 },
  action: { action: 'NOOP', state: 'none', done: 0n },
  nature,
  queued: 0,
});

/**
 * A coordinator as recorded: refuses long requests whole; a vanished file refuses all before anything is queued; one
 * whose state does not fit stops it there, with those before it queued.
 */
class Coordinator {
  requests = 0;
  readonly answers = new Map<RequestFile, Answer[]>();
  readonly #fits: number;
  down = false;
  /** Files that its list takes before it is full. */
  room = Number.POSITIVE_INFINITY;

  constructor(fits: number) {
    this.#fits = fits;
  }

  send = async (files: readonly RequestFile[]): Promise<void> => {
    this.requests += 1;
    if (this.down) throw new ErrnoError(ERRNO.EAGAIN, 'hsm');
    if (files.length > this.#fits) throw new ErrnoError(ERRNO.E2BIG, 'hsm');
    const simulated = files as readonly Simulated[];
    if (simulated.some((file) => file.nature === 'vanished')) throw new ErrnoError(ERRNO.ENOENT, 'hsm');
    for (const file of simulated) {
      if (file.nature === 'refused' || file.nature === 'stubborn') throw new ErrnoError(ERRNO.EPERM, 'hsm');
      if (file.nature === 'turns_bad') {
        file.nature = 'refused';
        throw new ErrnoError(ERRNO.EIO, 'hsm');
      }
      if (file.nature !== 'good') continue;
      if (this.room-- <= 0) throw new ErrnoError(ERRNO.ENOSPC, 'hsm');
      file.queued += 1;
    }
  };

  lookAgain = async (files: readonly RequestFile[]): Promise<SecondLook[]> =>
    (files as readonly Simulated[]).map((file): SecondLook => {
      if (file.nature === 'vanished') return { is: 'vanished' };
      if (file.nature === 'refused') return { is: 'refused', why: { code: 'NOARCHIVE', text: '' } };
      if (file.nature === 'done') return { is: 'done' };
      return { is: file.queued > 0 ? 'asked' : 'eligible' };
    });

  answer = (file: RequestFile, answer: Answer): void => {
    this.answers.set(file, [...(this.answers.get(file) ?? []), answer]);
  };

  stopped = () => false;

  ask(files: readonly Simulated[], size: number) {
    const { send, lookAgain, answer, stopped } = this;
    return askFor(files, { send, lookAgain, answer, stopped, size: new BatchSize(size) });
  }

  endOf(file: RequestFile): string {
    return (this.answers.get(file) ?? []).map((answer) => answer.is).join(',');
  }
}

const EXPECTED: Readonly<Record<Nature, RegExp>> = {
  good: /^asked$/,
  vanished: /^vanished$/,
  refused: /^refused$/,
  stubborn: /^failed$/,
  done: /^(asked|done)$/,
  turns_bad: /^refused$/,
};

describe('asking', () => {
  test('gives every file exactly one answer, the right one, and queues each good file once', async () => {
    const natures = fc.array(
      fc.constantFrom<Nature>('good', 'good', 'good', 'vanished', 'refused', 'stubborn', 'done', 'turns_bad'),
      {
        maxLength: 120,
      },
    );
    await fc.assert(
      fc.asyncProperty(
        natures,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 60 }),
        async (list, fits, size) => {
          const coordinator = new Coordinator(fits);
          const files = list.map(fileOf);
          const before = files.map(({ nature }) => nature);
          await coordinator.ask(files, size);
          for (const [index, file] of files.entries()) {
            expect(coordinator.endOf(file)).toMatch(EXPECTED[before[index] as Nature]);
            expect(file.queued).toBe(before[index] === 'good' ? 1 : 0);
          }
        },
      ),
    );
  });

  test('halves a request that is too long, and keeps to what fits', async () => {
    const coordinator = new Coordinator(52);
    const size = new BatchSize(100);
    const files = Array.from({ length: 300 }, (_, index) => fileOf('good', index));
    const { send, lookAgain, answer, stopped } = coordinator;
    await askFor(files, { send, lookAgain, answer, stopped, size });
    expect(size.limit).toBe(50);
    expect(coordinator.requests).toBe(7);
  });

  test('one ineligible file costs one more request, not one for every file', async () => {
    const coordinator = new Coordinator(52);
    const files = Array.from({ length: 50 }, (_, index) => fileOf(index === 20 ? 'refused' : 'good', index));
    await coordinator.ask(files, 50);
    expect(coordinator.requests).toBe(2);
  });

  test('a list that runs full ends the run; what it took of the request counts as asked for, the rest as not', async () => {
    const coordinator = new Coordinator(52);
    coordinator.room = 70;
    const files = Array.from({ length: 200 }, (_, index) => fileOf('good', index));
    await expect(coordinator.ask(files, 50)).rejects.toMatchObject({ code: 'COORDINATOR_FULL', exit: 'tryAgain' });
    expect(coordinator.requests).toBe(2);
    const ends = files.map((file) => coordinator.endOf(file));
    expect(ends).toEqual(files.map((_, index) => (index < 70 ? 'asked' : 'unasked')));
  });

  test('a coordinator that is down ends the run, with every file told as not asked for', async () => {
    const coordinator = new Coordinator(52);
    coordinator.down = true;
    const files = Array.from({ length: 10 }, (_, index) => fileOf('good', index));
    const error = await coordinator.ask(files, 5).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(OperatorError);
    expect(error).toMatchObject({ code: 'COORDINATOR_DOWN', exit: 'tryAgain' });
    expect(files.map((file) => coordinator.endOf(file))).toEqual(files.map(() => 'unasked'));
  });
});
