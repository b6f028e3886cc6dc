import type { ExitName } from './exit-code.ts';

/** Why work was stopped; the reason of the signals of `Shutdown`. */
export class SignalError extends Error {
  readonly code: string;
  readonly exit: ExitName;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`stopped by ${signal}`);
    this.name = 'AbortError';
    this.code = signal;
    this.exit = signal === 'SIGINT' ? 'interrupted' : 'terminated';
  }
}

/** How a process is asked to stop: first to drain (take nothing new, finish what is at work), then at once. */
export interface Shutdown {
  readonly drain: AbortSignal;
  readonly now: AbortSignal;
  /** How the process is to end because of a signal; undefined while there was none. */
  exit(): ExitName | undefined;
  /** Gives the signals back to their default. */
  dispose(): void;
}

/** After a second signal, how long open items may still be ended before the process leaves anyway. */
const LAST_GRACE_MS = 5_000;

/**
 * Takes SIGINT and SIGTERM over. The first aborts `drain`, the second `now`; a third, or five seconds after the second,
 * ends the process.
 */
export function takeSignals(exitCodeOf: (exit: ExitName) => number): Shutdown {
  const drain = new AbortController();
  const now = new AbortController();
  let exit: ExitName | undefined;
  const receive = (signal: 'SIGINT' | 'SIGTERM') => {
    const reason = new SignalError(signal);
    exit ??= reason.exit;
    const leave = () => process.exit(exitCodeOf(reason.exit));
    if (!drain.signal.aborted) drain.abort(reason);
    else if (!now.signal.aborted) {
      now.abort(reason);
      setTimeout(leave, LAST_GRACE_MS).unref();
    } else leave();
  };
  const onInterrupt = () => receive('SIGINT');
  const onTerminate = () => receive('SIGTERM');
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  return {
    drain: drain.signal,
    now: now.signal,
    exit: () => exit,
    dispose: () => {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onTerminate);
    },
  };
}
