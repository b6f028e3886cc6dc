import { setTimeout as delay } from 'node:timers/promises';
import type { CopytoolChannel } from '../lustre/copytool-channel.ts';
import { ERRNO, errnoName } from '../lustre/errno.ts';
import type { HsmAction } from '../lustre/hsm-action.ts';
import { ActionError, hasErrno, systemErrno } from './action-error.ts';
import type { CopytoolContext, Unfinished } from './context.ts';
import { letGoOfForgotten } from './removal-hold.ts';

/** Questions to the coordinator at the same time: few, so that those of new actions don't wait behind them. */
const AT_ONCE = 4;
/** Milliseconds until a coordinator that could not be asked is asked again, doubled from the first to the last. */
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 15_000;
/** An action that has seen so many ends of the copytool or its helper may be what causes them. */
const MOST_ADOPTIONS = 10;

export interface Adopter {
  readonly channel: CopytoolChannel;
  readonly context: CopytoolContext;
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
  const queue = left.toSorted((a, b) => rank(a) - rank(b)).values();
  const worker = async () => {
    for (const unfinished of queue) {
      if (signal.aborted) return;
      await adopt(unfinished, adopter);
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

async function adopt({ action, adoptions }: Unfinished, adopter: Adopter): Promise<void> {
  const { channel, context, signal } = adopter;
  const { adoption } = context.stats;
  const named = { action: action.action, fid: action.fid, cookie: action.cookie.toString() };
  for (let wait = FIRST_WAIT_MS; !signal.aborted; wait = Math.min(wait * 2, LAST_WAIT_MS)) {
    try {
      await channel.adopt(action);
      await context.step('adopt.known');
      // The helper may have been lost meanwhile; the next adoption asks again.
      if (signal.aborted) return;
      if (adoptions >= MOST_ADOPTIONS)
        throw new ActionError('adopted-often', ERRNO.EIO, `it was adopted ${adoptions} times and never came to an end`);
      adoption.adopted += 1;
      context.log.info('action adopted', named);
      await adopter.take(action);
      await context.step('adopt.taken');
      return;
    } catch (error) {
      // EEXIST: the coordinator has sent it again, and it is at work.
      if (signal.aborted || channel.isLoss(error) || hasErrno(error, ERRNO.EEXIST)) return;
      if (hasErrno(error, ERRNO.EAGAIN)) {
        await delay(wait, undefined, { signal }).catch(() => {});
        continue;
      }
      if (hasErrno(error, ERRNO.ENOENT)) {
        adoption.dropped += 1;
        context.log.info('action is not known to Lustre any more', named);
        if (action.action !== 'RESTORE') await letGoOfForgotten(action.fid, action.cookie, context);
      } else {
        adoption.ended += 1;
        await giveUp(action, error, adopter);
      }
      adopter.forget(action);
      return;
    }
  }
}

/** Ends an action that can't be adopted, under the file's own FID: the error reaches whoever waits. */
async function giveUp(action: HsmAction, error: unknown, { channel, context }: Adopter): Promise<void> {
  const cancelled = hasErrno(error, ERRNO.ECANCELED);
  const errval = cancelled
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
}
