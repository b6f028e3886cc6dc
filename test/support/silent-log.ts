import type { Log } from '../../src/service/log.ts';

const nothing = () => undefined;

/** For tests that don't read what is logged. */
export const silentLog: Log = {
  ...{ error: nothing, warn: nothing, info: nothing, debug: nothing, trace: nothing },
  child: () => silentLog,
};
