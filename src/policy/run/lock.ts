import { setTimeout as delay } from 'node:timers/promises';
import { lockRun } from '../../service/control/run-lock.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';
import { policyLock } from './socket.ts';

const POLL_MS = 500;
const HELD = 'POLICY_RUNNING';

export const isLocked = (error: unknown): error is OperatorError =>
  error instanceof OperatorError && error.code === HELD;

/**
 * Takes the lock of one policy: two runs of it would count the same things twice. Others may be run beside it.
 * @param patience how long another run is waited for, milliseconds
 * @throws OperatorError POLICY_RUNNING (exit `locked`), naming the holder
 */
export async function lockPolicy(
  { policy, ...o }: { directory: string; version: string; policy: string; log: Log },
  patience: number | undefined,
  signal: AbortSignal,
): Promise<{ release(): Promise<void> }> {
  const deadline = performance.now() + (patience ?? 0);
  for (;;) {
    try {
      return await lockRun({
        ...o,
        name: policyLock(policy),
        path: `the policy ${policy}`,
        title: `A run of the policy ${policy}`,
        code: HELD,
        hint: 'Wait for its end (--wait-lock), or stop it with Ctrl-C or SIGTERM; what it has asked for goes on in Lustre.',
      });
    } catch (error) {
      if (!isLocked(error) || performance.now() >= deadline) throw error;
    }
    await delay(Math.min(POLL_MS, Math.max(1, deadline - performance.now())), undefined, { signal }).catch(() =>
      signal.throwIfAborted(),
    );
  }
}
