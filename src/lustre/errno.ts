import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';

/** The errno numbers that Lustre's HSM calls answer with (positive, Linux). */
export const ERRNO = constants.errno;

/** Of two names for one number, the first in the alphabet: EAGAIN, not EWOULDBLOCK. */
const NAMES = new Map<number, string>(
  Object.entries(ERRNO)
    .reverse()
    .map(([name, number]) => [number, name]),
);
/** Texts of numbers that libuv has no text for. */
const TEXTS = new Map<number, string>([
  [ERRNO.ENODATA, 'no data available'],
  [ERRNO.ESTALE, 'stale file handle'],
  [ERRNO.ETIME, 'timer expired'],
  [108, 'transport endpoint has been shut down'],
]);

/** What Lustre answers for a FID of which there is no file any more. */
export const isGone = (errno: number): boolean => errno === ERRNO.ENOENT || errno === ERRNO.ESTALE;

/** `EPERM` for 1; `errno 4711` for a number without a name. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? (errno === 108 ? 'ESHUTDOWN' : `errno ${errno}`);
}

/** `operation not permitted (EPERM)` for 1: what people are shown. */
export function errnoText(errno: number): string {
  const known = TEXTS.get(errno);
  if (known !== undefined) return `${known} (${errnoName(errno)})`;
  const text = getSystemErrorMessage(-errno);
  return text === undefined || text.startsWith('Unknown system error')
    ? errnoName(errno)
    : `${text} (${errnoName(errno)})`;
}
