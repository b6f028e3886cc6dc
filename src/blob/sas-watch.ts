import type { Log } from '../service/log.ts';
import type { BlobStore } from './store.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** The operator is warned when less than this is left, once each. */
const WARN_AT = [7 * DAY, DAY, HOUR, 0];
const LOOK_EVERY = 60_000;

/** What is left of a SAS, in words: `6 days`, `23 hours`, `59 minutes`. */
export function timeLeft(milliseconds: number): string {
  const in_ = (unit: number, name: string) => {
    const count = Math.floor(milliseconds / unit);
    return `${count} ${name}${count === 1 ? '' : 's'}`;
  };
  if (milliseconds >= DAY) return in_(DAY, 'day');
  return milliseconds >= HOUR ? in_(HOUR, 'hour') : in_(60_000, 'minute');
}

/**
 * Warns of the end of a shared access signature 7 days, 1 day and 1 hour before, and when it has come; again for each
 * new one, whose file is read as often. Begins with what holds at the start. Ended by the function that it gives.
 * @param every milliseconds between two looks
 */
export function watchSas(
  store: Pick<BlobStore, 'sas' | 'renewal' | 'refresh'>,
  log: Log,
  every = LOOK_EVERY,
): () => void {
  let known: number | undefined;
  let warned = Number.POSITIVE_INFINITY;
  const look = () => {
    const expires = store.sas?.expires?.getTime();
    if (expires !== known) {
      if (known !== undefined) log.info('shared access signature renewed', { expires: isoOf(expires) });
      known = expires;
      warned = Number.POSITIVE_INFINITY;
    }
    if (expires === undefined) return;
    const left = expires - Date.now();
    const passed = WARN_AT.filter((mark) => left <= mark).at(-1);
    if (passed === undefined || passed >= warned) return;
    warned = passed;
    const fields = { expires: isoOf(expires), hint: store.renewal };
    if (left <= 0) log.error('shared access signature has expired', fields);
    else log.warn(`shared access signature expires in ${timeLeft(left)}`, fields);
  };
  look();
  const timer = setInterval(() => void store.refresh().then(look, look), every).unref();
  return () => clearInterval(timer);
}

function isoOf(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString();
}
