import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { BugError, type ErrorDetails, OperatorError } from '../errors.ts';
import { EXIT, type ExitName } from '../exit-code.ts';
import { CONTROL_PROTOCOL, type ControlReply, REPLY_LIMIT, replySchema } from './protocol.ts';
import { withAddress } from './socket-path.ts';

export interface ControlTarget {
  /** The socket's directory and name. */
  readonly directory: string;
  readonly name: string;
  /** How an operator knows the service, for messages: `copytool`. */
  readonly service: string;
  /** How it is started, for the hint. */
  readonly start: string;
}

export interface AskOptions {
  /** Milliseconds until the reply must be there. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

const PATIENCE_MS = 30_000;

/**
 * Asks a running service, and gives back the reply's result.
 * @throws OperatorError: it does not run, may not be asked, is silent, speaks another version; or what it says
 */
export async function askService(
  target: ControlTarget,
  op: string,
  args: Readonly<Record<string, unknown>> = {},
  options: AskOptions = {},
): Promise<unknown> {
  const line = `${JSON.stringify({ v: CONTROL_PROTOCOL, op, args })}\n`;
  let text: string;
  try {
    text = await withAddress(target.directory, target.name, (address) => exchange(address, line, options));
  } catch (error) {
    options.signal?.throwIfAborted();
    throw unreachable(target, error);
  }
  const reply = readReply(text);
  if (reply === undefined) throw strange(target, 'its answer is none of the control protocol');
  if (reply.ok && reply.v === CONTROL_PROTOCOL) return reply.result;
  if (reply.ok)
    throw strange(target, `it speaks version ${reply.v} of the control protocol, this program ${CONTROL_PROTOCOL}`);
  const { code, message, hint, exit } = reply.error;
  if (code === 'PROTOCOL_VERSION' || code === 'UNKNOWN_OPERATION') throw strange(target, message);
  throw new OperatorError(message, {
    code,
    ...(hint === undefined ? {} : { hint }),
    ...(exit !== undefined && Object.hasOwn(EXIT, exit) ? { exit: exit as ExitName } : {}),
  });
}

/** Sends one line and reads one. */
function exchange(address: string, line: string, { timeout = PATIENCE_MS, signal }: AskOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const fail = (error: unknown) => end(() => reject(error));
    const onAbort = () => fail(signal?.reason);
    const timer = setTimeout(() => fail(new Silent(timeout)), timeout);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => socket.end(line));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > REPLY_LIMIT) fail(new BugError(`a reply of more than ${REPLY_LIMIT} bytes`));
    });
    socket.once('end', () => {
      if (size === 0) fail(Object.assign(new Error('the connection was ended'), { code: 'ECONNRESET' }));
      else end(() => resolve(Buffer.concat(chunks).toString('utf8')));
    });
  });
}

class Silent extends Error {
  readonly code = 'SILENT';
  constructor(timeout: number) {
    super(`no answer for ${timeout / 1000} s`);
  }
}

function readReply(text: string): ControlReply | undefined {
  try {
    return replySchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function unreachable(target: ControlTarget, error: unknown): Error {
  const { service, start } = target;
  const path = join(target.directory, target.name);
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const failed = (message: string, details: ErrorDetails) => new OperatorError(message, { ...details, cause: error });
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return failed(`the ${service} is not running (no process answers at ${path})`, {
      code: 'SERVICE_NOT_RUNNING',
      hint: `Start it with '${start}', or its unit with systemctl. If it runs, then with another configuration: give its --config.`,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return failed(`the control socket of the ${service} may not be used: ${path}`, {
      code: 'CONTROL_SOCKET_DENIED',
      exit: 'notAuthorised',
      hint: `Only the user that runs the ${service} may: become root (sudo).`,
    });
  }
  if (code === 'SILENT' || code === 'EAGAIN') {
    return failed(
      `the ${service} does not answer (${path}): ${code === 'EAGAIN' ? 'too many ask' : String((error as Error).message)}`,
      {
        code: 'SERVICE_SILENT',
        exit: 'tryAgain',
        hint: `Look at its log; it may be very busy, or stopped (SIGSTOP, a debugger).`,
      },
    );
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return failed(`the ${service} ended the connection: it is stopping, or too many ask at the same time`, {
      code: 'SERVICE_SILENT',
      exit: 'tryAgain',
      hint: 'Try again.',
    });
  }
  return error instanceof Error
    ? error
    : failed(String(error), { code: 'CONTROL_FAILED', hint: `Look at ${dirname(path)}.` });
}

function strange({ service }: ControlTarget, what: string): OperatorError {
  return new OperatorError(`the running ${service} and this program don't understand each other: ${what}`, {
    code: 'CONTROL_PROTOCOL',
    hint: `They are of different versions: restart the ${service}, so that both are the same.`,
  });
}
