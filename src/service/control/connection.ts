import type { Socket } from 'node:net';
import { BugError } from '../errors.ts';
import { EXIT } from '../exit-code.ts';
import { redact } from '../redact.ts';
import { CONTROL_PROTOCOL, type ControlFailure, type ControlReply, REQUEST_LIMIT, requestSchema } from './protocol.ts';
import type { ControlOptions } from './server.ts';

/** From one reply to the end of the next, so long at most; milliseconds. */
const PATIENCE_MS = 30_000;
const NEWLINE = 0x0a;

type Service = Pick<ControlOptions, 'handlers' | 'log' | 'version'>;

/**
 * Answers a client's requests, one after the other. What it costs is bounded whatever the client does: one request in
 * work, one line in memory, one reply waiting to be read, half a minute for each.
 */
export function serveConnection(socket: Socket, service: Service): void {
  void serve(socket, service)
    .catch((error: unknown) => service.log.debug('control connection ended', { err: error }))
    .finally(() => socket.destroy());
}

async function serve(socket: Socket, service: Service): Promise<void> {
  const late = setTimeout(() => socket.destroy(), PATIENCE_MS).unref();
  socket.once('close', () => clearTimeout(late));
  for await (const line of linesOf(socket)) {
    const reply = line === undefined ? refusal(service, 'TOO_LONG', tooLong()) : await answer(line, service);
    await send(socket, `${JSON.stringify(reply)}\n`);
    if (line === undefined) break;
    late.refresh();
  }
}

/** Lines without their newline; undefined, as the last, for one that is too long. Reads no further while one is handled. */
async function* linesOf(socket: Socket): AsyncGenerator<Buffer | undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let at = rest.indexOf(NEWLINE); at !== -1; at = rest.indexOf(NEWLINE)) {
      if (at >= REQUEST_LIMIT) break;
      const line = rest.subarray(0, at);
      rest = rest.subarray(at + 1);
      yield line;
    }
    if (rest.length >= REQUEST_LIMIT) {
      yield undefined;
      return;
    }
  }
}

async function answer(line: Buffer, service: Service): Promise<ControlReply> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line.toString('utf8'));
  } catch {
    return refusal(service, 'NOT_JSON', 'the request is not JSON');
  }
  const version = (parsed as { v?: unknown } | null)?.v;
  if (version !== CONTROL_PROTOCOL) {
    const told = typeof version === 'number' ? `version ${version}` : 'no version';
    return refusal(
      service,
      'PROTOCOL_VERSION',
      `the request is of ${told} of the control protocol, this service (${service.version}) speaks version ${CONTROL_PROTOCOL}`,
    );
  }
  const request = requestSchema.safeParse(parsed);
  if (!request.success)
    return refusal(service, 'NOT_A_REQUEST', 'the request lacks a field, or has one of another kind');
  const { op, args } = request.data;
  const handler = Object.hasOwn(service.handlers, op) ? service.handlers[op] : undefined;
  if (handler === undefined) {
    const known = Object.keys(service.handlers).join(', ');
    return refusal(
      service,
      'UNKNOWN_OPERATION',
      `this service (${service.version}) knows no operation '${op}', but ${known}`,
    );
  }
  try {
    return { v: CONTROL_PROTOCOL, ok: true, result: (await handler(args)) ?? null };
  } catch (error) {
    const failure = failureOf(error);
    if (failure.code === 'UNEXPECTED') service.log.error('control request failed', { op, err: error });
    return { v: CONTROL_PROTOCOL, ok: false, error: failure, version: service.version };
  }
}

/** Waits until the client has taken it, so that replies don't pile up; rejects when it has gone. */
function send(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('the client is gone'));
    socket.once('close', onClose);
    socket.write(text, (error) => {
      socket.off('close', onClose);
      if (error) reject(error);
      else resolve();
    });
  });
}

function refusal(service: Service, code: string, message: string): ControlReply {
  return { v: CONTROL_PROTOCOL, ok: false, error: { code, message }, version: service.version };
}

function tooLong(): string {
  return `a request has at most ${REQUEST_LIMIT} bytes`;
}

/** What a client learns about an error: only what is named here. */
function failureOf(error: unknown): ControlFailure {
  const { code, message, hint, exit } = (error ?? {}) as Partial<Record<keyof ControlFailure, unknown>>;
  if (error instanceof Error && typeof exit === 'string' && Object.hasOwn(EXIT, exit)) {
    return {
      code: typeof code === 'string' ? code : 'FAILED',
      message: redact(String(message)),
      ...(typeof hint === 'string' ? { hint: redact(hint) } : {}),
      exit,
    };
  }
  return { code: 'UNEXPECTED', message: redact(String(message ?? error)), hint: new BugError('').hint };
}
