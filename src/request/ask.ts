import { ERRNO, errnoName, errnoText } from '../lustre/errno.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import type { RequestFile, Why } from './types.ts';

/** What a second look at a file gave, after a request with it was refused. */
export type SecondLook =
  /** It can still be asked for. */
  | { readonly is: 'eligible' }
  /** The refused request took effect for this file, or somebody else's did. */
  | { readonly is: 'asked' | 'done' }
  | { readonly is: 'refused'; readonly why: Why }
  | { readonly is: 'vanished' };

/** How the asking ended for a file. */
export type Answer =
  | { readonly is: 'asked' | 'done' | 'vanished' | 'unasked' }
  | { readonly is: 'refused' | 'failed'; readonly why: Why };

export interface Asking {
  /** One request for all. Rejects with an ErrnoError when the coordinator refused it. */
  send(files: readonly RequestFile[]): Promise<void>;
  /** The files' states now, in the same order. */
  lookAgain(files: readonly RequestFile[]): Promise<readonly SecondLook[]>;
  /** Told once for every file. */
  answer(file: RequestFile, answer: Answer): void;
  /** True once no more requests are to be sent. */
  stopped(): boolean;
  /** Shared by all batches of a run: how many files a request can carry. */
  readonly size: BatchSize;
}

/** How many files fit into one request; shrinks when the coordinator says that they don't. */
export class BatchSize {
  #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  /** So many did not fit. */
  tooMany(count: number): void {
    this.#limit = Math.max(1, Math.min(this.#limit, Math.ceil(count / 2)));
  }
}

/**
 * Asks for files, one request after the other, until each has an answer.
 *
 * A request is refused as a whole for one file in it, perhaps after it took effect for some. So after a refusal the
 * states are read again, what needs no asking any more is dropped, and the rest is sent again: as one request while
 * that makes it shorter, in halves otherwise. A file that is refused alone has failed, and the others go on.
 *
 * Rejects, after every file has got its answer, when going on makes no sense: the coordinator is shut down, its list is
 * full, or nobody reaches it (exit code `tryAgain`), we may not ask (`notAuthorised`), `lfs` or the helper is gone.
 */
export async function askFor(files: readonly RequestFile[], asking: Asking): Promise<void> {
  const work: (readonly RequestFile[])[] = [files];
  const open = new Set(files);
  const answer = (file: RequestFile, is: Answer) => {
    open.delete(file);
    asking.answer(file, is);
  };
  try {
    for (let batch = work.pop(); batch !== undefined; batch = work.pop()) {
      if (asking.stopped()) return;
      if (batch.length > asking.size.limit) {
        work.push(...pieces(batch, asking.size.limit).reverse());
        continue;
      }
      work.push(...(await askOnce(batch, asking, answer)));
    }
  } finally {
    for (const file of open) asking.answer(file, { is: 'unasked' });
  }
}

type Tell = (file: RequestFile, answer: Answer) => void;

/** Sends one request; gives what is to be sent again, in the order of a stack. */
async function askOnce(
  batch: readonly RequestFile[],
  asking: Asking,
  answer: Tell,
): Promise<(readonly RequestFile[])[]> {
  try {
    await asking.send(batch);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    if (error.errno === ERRNO.EAGAIN) throw shutDown(error);
    if (error.errno === ERRNO.ENOSPC) await tellTaken(batch, asking, answer);
    if (OF_THE_COORDINATOR.has(error.errno)) throw troubled(error);
    return await afterRefusal(batch, error, asking, answer);
  }
  for (const file of batch) answer(file, { is: 'asked' });
  return [];
}

/** A list that ran full has taken what came first in the request. Where nobody can be asked, nothing is known. */
async function tellTaken(batch: readonly RequestFile[], asking: Asking, answer: Tell): Promise<void> {
  const looks = await asking.lookAgain(batch).catch(() => []);
  for (const [index, look] of looks.entries()) {
    const file = batch[index];
    if (file !== undefined && look.is !== 'eligible') answer(file, look);
  }
}

async function afterRefusal(
  batch: readonly RequestFile[],
  error: ErrnoError,
  asking: Asking,
  answer: Tell,
): Promise<(readonly RequestFile[])[]> {
  if (error.errno === ERRNO.E2BIG) {
    asking.size.tooMany(batch.length);
    if (batch.length > 1) return halves(batch);
  }
  const looks = await asking.lookAgain(batch);
  const rest: RequestFile[] = [];
  for (const [index, file] of batch.entries()) {
    const look = looks[index] ?? { is: 'eligible' };
    if (look.is === 'eligible') rest.push(file);
    else answer(file, look);
  }
  if (rest.length === 0) return [];
  if (rest.length < batch.length) return [rest];
  const only = rest.length === 1 ? rest[0] : undefined;
  if (only === undefined) return halves(rest);
  answer(only, {
    is: 'failed',
    why: { code: errnoName(error.errno), text: `was refused by Lustre: ${errnoText(error.errno)}` },
  });
  return [];
}

function halves(batch: readonly RequestFile[]): (readonly RequestFile[])[] {
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(middle), batch.slice(0, middle)];
}

function pieces(batch: readonly RequestFile[], size: number): (readonly RequestFile[])[] {
  const result: RequestFile[][] = [];
  for (let from = 0; from < batch.length; from += size) result.push(batch.slice(from, from + size));
  return result;
}

function shutDown(cause: ErrnoError): OperatorError {
  return new OperatorError('The HSM coordinator takes no requests: it is shut down, or starting.', {
    code: 'COORDINATOR_DOWN',
    hint: 'Try again later; on the metadata server, `lctl set_param mdt.*.hsm_control=enabled` starts it.',
    exit: 'tryAgain',
    cause,
  });
}

/** Errors that tell of the metadata server, not of a file: every further request would meet them. */
const OF_THE_COORDINATOR: ReadonlySet<number> = new Set([
  ...[ERRNO.ENOSPC, ERRNO.ENOMEM, ERRNO.EROFS, ERRNO.ETIMEDOUT, ERRNO.ENOTCONN, ERRNO.ENODEV, ERRNO.EINTR],
  108, // ESHUTDOWN
]);

function troubled(cause: ErrnoError): OperatorError {
  const full = cause.errno === ERRNO.ENOSPC;
  return new OperatorError(
    full
      ? 'The HSM coordinator takes no more requests: its list is full.'
      : `The HSM coordinator can't be asked: ${errnoText(cause.errno)}.`,
    {
      code: full ? 'COORDINATOR_FULL' : 'COORDINATOR_TROUBLE',
      hint: full
        ? 'It takes more once copytools have worked some off. See that a copytool serves the archive, and how much room the MDT has.'
        : "Look at the client's connection to the metadata servers (`lfs check mds`), then try again.",
      exit: 'tryAgain',
      cause,
    },
  );
}
