import { setTimeout as delay } from 'node:timers/promises';
import type { Fid } from '../identity/fid.ts';
import type { CopytoolChannel } from '../lustre/copytool-channel.ts';
import { ERRNO, errnoName } from '../lustre/errno.ts';
import type { HsmAction } from '../lustre/hsm-action.ts';
import { ActionError, hasErrno, systemErrno } from './action-error.ts';
import type { CopytoolContext, Unfinished } from './context.ts';
import { clearDirtyIfReleased, isReleasedNow } from './failed-archive.ts';
import { letGoOfForgotten } from './removal-hold.ts';

/** Questions to the coordinator at the same time: few, so that those of new actions don't wait behind them. */
const AT_ONCE = 4;
/** How a lost connection to a metadata server shows: an eviction, a failover, a restart. */
const PASSING: ReadonlySet<number> = new Set([
  ERRNO.EINTR,
  ERRNO.EIO,
  ERRNO.ENODEV,
  ERRNO.ENOTCONN,
  ERRNO.ETIMEDOUT,
  108, // ESHUTDOWN, which Node has no name for
]);
const PATIENCE: AdoptionPatience = { firstWait: 500, lastWait: 15_000, passing: 5 * 60_000 };
/** An action that has seen so many ends of the copytool or its helper may be what causes them. */
const MOST_ADOPTIONS = 10;

/** All in milliseconds. */
export interface AdoptionPatience {
  /** Until a coordinator that could not be asked is asked again, doubled from the first to the last. */
  readonly firstWait: number;
  readonly lastWait: number;
  /** How long errors of a lost connection, one after the other, are waited for. */
  readonly passing: number;
}

export interface Adopter {
  readonly channel: Pick<CopytoolChannel, 'adopt' | 'drop' | 'end' | 'isLoss'>;
  readonly context: CopytoolContext;
  readonly patience?: AdoptionPatience;
  /** Ends the adoption: what is left stays in the journal. */
  readonly signal: AbortSignal;
  /** Carries out an action that was adopted; resolves as soon as it is known to the agent. */
  take(action: HsmAction): Promise<void>;
  /** The action is over: out of the journal with it. */
  forget(action: HsmAction): void;
}

/**
 * Takes up the actions that an earlier process or helper has left behind: restores first, because somebody waits for
 * them. Those that Lustre doesn't know any more are dropped; one that it knows and that can't be taken up is ended with
 * an error, so that nobody waits for it. Never rejects.
 */
export async function adoptAll(left: readonly Unfinished[], adopter: Adopter): Promise<void> {
  if (left.length === 0) return;
  const { context, signal } = adopter;
  const { adoption } = context.stats;
  const before = { ...adoption };
  context.log.info('actions were left behind, adopting them', { actions: left.length });
  await context.step('adopt.read');
  const queue = left.toSorted((a, b) => rank(a) - rank(b)).map((unfinished): Turn => ({ unfinished, due: 0, wait: 0 }));
  const worker = async () => {
    for (let turn = queue.shift(); turn !== undefined; turn = queue.shift()) {
      await until(turn.due, signal);
      if (signal.aborted) return;
      const next = await adopt(turn, adopter);
      // Behind all others: one metadata server that is away does not keep the readers of another waiting.
      if (next !== undefined) queue.push(next);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  context.log.info('adoption is over', {
    adopted: adoption.adopted - before.adopted,
    ended: adoption.ended - before.ended,
    unknown: adoption.dropped - before.dropped,
  });
}

function rank({ action }: Unfinished): number {
  return action.action === 'RESTORE' ? 0 : 1;
}

/** When an action's turn to be asked for is, on the clock of `performance.now()`, and what came of earlier ones. */
interface Turn {
  readonly unfinished: Unfinished;
  readonly due: number;
  /** The wait before this turn. */
  readonly wait: number;
  /** Since when there has been nothing but errors of a lost connection. */
  readonly failingSince?: number;
}

async function until(due: number, signal: AbortSignal): Promise<void> {
  const wait = due - performance.now();
  if (wait > 0) await delay(wait, undefined, { signal }).catch(() => {});
}

/** The action's next turn, when it has to be asked for again. */
async function adopt(turn: Turn, adopter: Adopter): Promise<Turn | undefined> {
  const { action, adoptions } = turn.unfinished;
  const { channel, context, signal } = adopter;
  const { adoption } = context.stats;
  const named = { action: action.action, fid: action.fid, cookie: action.cookie.toString() };
  try {
    await channel.adopt(action);
    await context.step('adopt.known');
    // The helper may have been lost meanwhile; the next adoption asks again.
    if (signal.aborted) return undefined;
    if (adoptions >= MOST_ADOPTIONS)
      throw new ActionError('adopted-often', ERRNO.EIO, `it was adopted ${adoptions} times and never came to an end`);
    adoption.adopted += 1;
    context.log.info('action adopted', named);
    await adopter.take(action);
    await context.step('adopt.taken');
    return undefined;
  } catch (error) {
    // EEXIST: the coordinator has sent it again, and it is at work.
    if (signal.aborted || channel.isLoss(error) || hasErrno(error, ERRNO.EEXIST)) return undefined;
    const next = await laterTurn(turn, error, adopter);
    if (next !== undefined) return next;
    if (hasErrno(error, ERRNO.ENOENT)) {
      adoption.dropped += 1;
      context.log.info('action is not known to Lustre any more', named);
      if (action.action !== 'RESTORE') await letGoOfForgotten(action.fid, action.cookie, context);
      if (action.action === 'ARCHIVE') await madeReadable(action.fid, context);
    } else {
      adoption.ended += 1;
      await giveUp(action, error, adopter);
    }
    adopter.forget(action);
    return undefined;
  }
}

/** The turn after an error that passes: a stopped coordinator for as long as it takes, a lost connection for a while. */
async function laterTurn(
  turn: Turn,
  error: unknown,
  { channel, context, patience }: Adopter,
): Promise<Turn | undefined> {
  const { firstWait, lastWait, passing } = patience ?? PATIENCE;
  const { unfinished } = turn;
  const wait = Math.min(turn.wait === 0 ? firstWait : turn.wait * 2, lastWait);
  const now = performance.now();
  if (hasErrno(error, ERRNO.EAGAIN)) return { unfinished, wait, due: now + wait };
  const errno = systemErrno(error) ?? 0;
  const failingSince = turn.failingSince ?? now;
  if (!PASSING.has(errno) || now - failingSince >= passing) return undefined;
  const { action } = unfinished;
  if (turn.failingSince === undefined)
    context.log.warn('action can not be adopted yet, trying again', {
      action: action.action,
      fid: action.fid,
      cookie: action.cookie.toString(),
      errno: errnoName(errno),
    });
  // The helper keeps it for its end. It would answer EEXIST, and swallow it if the coordinator sent it again meanwhile.
  await channel.drop(action).catch((_: Error) => {}); // only if the helper is lost: the next question finds that out
  return { unfinished, wait, due: now + wait, failingSince };
}

/** Ends an action that can't be adopted, under the file's own FID: the error reaches whoever waits. */
async function giveUp(action: HsmAction, error: unknown, { channel, context }: Adopter): Promise<void> {
  const cancelled = hasErrno(error, ERRNO.ECANCELED);
  const archive = action.action === 'ARCHIVE';
  const errval =
    archive && (await isReleasedNow(action.fid, context.fs.files))
      ? ERRNO.EALREADY
      : cancelled
        ? ERRNO.ECANCELED
        : error instanceof ActionError
          ? error.errno
          : (systemErrno(error) ?? ERRNO.EIO);
  const named = { action: action.action, fid: action.fid, cookie: action.cookie.toString() };
  context.log[cancelled ? 'info' : 'warn'](cancelled ? 'action was cancelled' : 'action could not be adopted', {
    ...named,
    errno: errnoName(errval),
    err: error,
  });
  try {
    await channel.end(action, { offset: 0n, length: 0n, errval, retry: !cancelled });
  } catch (failure) {
    if (!hasErrno(failure, ERRNO.ENOENT)) context.log.warn('action could not be ended', { ...named, err: failure });
  }
  if (archive) await madeReadable(action.fid, context);
}

/** Lustre may have marked the file dirty for an archive that came to no good end, though it was released meanwhile. */
async function madeReadable(fid: Fid, { fs, log }: CopytoolContext): Promise<void> {
  await clearDirtyIfReleased(fid, fs.files, log).catch((error: unknown) => {
    log.warn('file could not be marked clean', { fid, err: error });
  });
}
