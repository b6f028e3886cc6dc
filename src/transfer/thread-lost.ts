/** The thread that moved the data is gone; what it had done so far is not known. */
export class ThreadLostError extends Error {
  readonly code = 'thread-lost';

  constructor(cause: unknown) {
    super(`a transfer thread ended unexpectedly: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'ThreadLostError';
  }
}
