import { pino } from 'pino';
import { LogDestination } from './log-destination.ts';
import { redact } from './redact.ts';

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevelName = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/**
 * What the engines write to: a static message, and what varies in fields (`log.info('archived', { fid, bytes })`).
 * An error goes into the field `err`. Every line loses its secrets before it is written.
 */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
  /** A log whose lines all carry these fields as well. */
  child(fields: LogFields): Log;
}

/** A log with its destination: the one that made it may change its level, reopen its file (SIGHUP) and close it. */
export interface ServiceLog extends Log {
  /** Takes effect at once, in children too. */
  setLevel(level: LogLevelName): void;
  level(): LogLevelName;
  /** Lines that could not be written, and are lost. */
  dropped(): number;
  /** Opens the file again, after logrotate has moved it away. */
  reopen(): void;
  close(): void;
}

/**
 * Opens the log of a service. Lines that can't be written are dropped, counted, and told of when it works again.
 * @param options.file appended to; without it standard error
 * @throws the system's error when the file can't be opened, unless it is that there is no room to make it
 */
export function openLog(options: {
  readonly name: string;
  readonly level: LogLevelName;
  readonly file?: string | undefined;
}): ServiceLog {
  const destination = new LogDestination(options.file);
  let level = options.level;
  const logger: pino.Logger = pino(
    {
      // The level is checked in `emit`, so that one change reaches every child.
      level: 'trace',
      base: { service: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
    },
    {
      write: (line: string) => {
        if (destination.write(redact(line)))
          logger.warn({ dropped: destination.dropped }, 'log lines could not be written and are lost');
      },
    },
  );
  const wrap = (target: pino.Logger): Log => {
    const emit = (at: LogLevelName, message: string, fields: LogFields | undefined) => {
      if ((logger.levels.values[at] as number) >= (logger.levels.values[level] as number))
        target[at](fields ?? {}, message);
    };
    return {
      error: (message, fields) => emit('error', message, fields),
      warn: (message, fields) => emit('warn', message, fields),
      info: (message, fields) => emit('info', message, fields),
      debug: (message, fields) => emit('debug', message, fields),
      trace: (message, fields) => emit('trace', message, fields),
      child: (fields) => wrap(target.child(fields)),
    };
  };
  return {
    ...wrap(logger),
    setLevel: (next) => {
      level = next;
    },
    level: () => level,
    dropped: () => destination.dropped,
    reopen: () => destination.reopen(),
    close: () => destination.close(),
  };
}

/** Names what matters of an error and its causes; never the request or response an HTTP error carries. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, errno, statusCode } = error as { code?: unknown; errno?: unknown; statusCode?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(errno === undefined ? {} : { errno }),
    ...(statusCode === undefined ? {} : { statusCode }),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  };
}
