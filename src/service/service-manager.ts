import type { Log } from './log.ts';
import { loadAddon } from './native-addon.ts';

/**
 * What a service tells systemd (sd_notify(3), units of Type=notify). Without systemd nothing is told. Telling never
 * fails and never waits.
 */
export interface ServiceManager {
  /** It serves. @param status one line for `systemctl status` */
  ready(status?: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The working loop has come round: what keeps the watchdog quiet. Call it as often as you like. */
  alive(): void;
  /** It is coming to its end, and takes what is at work there. */
  stopping(): void;
}

/** Sends one datagram; 0, or the errno. */
export type SendDatagram = (socket: string, message: string) => number;

export interface ServiceManagerOptions {
  readonly log: Pick<Log, 'warn' | 'debug'>;
  /** What systemd wrote there is taken out: it is meant for this process, not for those that it starts. */
  readonly env?: NodeJS.ProcessEnv;
  readonly send?: SendDatagram | undefined;
}

/** So often in the watchdog's time; systemd asks for twice. */
const BEATS = 4;

/** The service manager that has started this process, if one has. */
export function serviceManager({ log, env = process.env, send }: ServiceManagerOptions): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  if (socket === undefined || socket === '') return SILENT;
  const deliver = send ?? loadAddon<{ send: SendDatagram }>('notify.node')?.send;
  if (deliver === undefined) {
    log.warn('the service manager can not be told that this service is ready: notify.node is missing');
    return SILENT;
  }
  const isWatched = watched === undefined || watched === String(process.pid);
  const interval = isWatched && /^[1-9]\d*$/.test(watchdog ?? '') ? Number(watchdog) / 1000 / BEATS : undefined;
  let last = Number.NEGATIVE_INFINITY;
  const tell = (lines: readonly string[]) => {
    const errno = deliver(socket, lines.join('\n'));
    if (errno !== 0) log.debug('the service manager was not told', { errno });
  };
  return {
    ready: (status) => tell(['READY=1', ...(status === undefined ? [] : [statusLine(status)])]),
    status: (text) => tell([statusLine(text)]),
    alive: () => {
      const now = performance.now();
      if (interval === undefined || now - last < interval) return;
      last = now;
      tell(['WATCHDOG=1']);
    },
    stopping: () => tell(['STOPPING=1']),
  };
}

const SILENT: ServiceManager = { ready: () => {}, status: () => {}, alive: () => {}, stopping: () => {} };

/** A line break would begin another field. */
const statusLine = (text: string) => `STATUS=${text.replace(/\s+/g, ' ')}`;
