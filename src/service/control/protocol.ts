import * as z from 'zod';

/**
 * What a service and its clients say to each other over the control socket: one JSON object a line, a reply for each
 * request, in their order. Described for other programs in docs/control.md.
 */

/** Raised when a request or reply changes so that older programs would misunderstand it. */
export const CONTROL_PROTOCOL = 1;
/** The longest request, with its newline. */
export const REQUEST_LIMIT = 64 * 1024;
/** The longest reply that a client takes. */
export const REPLY_LIMIT = 16 * 1024 * 1024;

export const requestSchema = z.object({
  v: z.number().int(),
  op: z.string().min(1).max(64),
  args: z.record(z.string(), z.unknown()).default({}),
});

const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  exit: z.string().optional(),
});

/** An error as it travels; `exit` is a name of the table of exit codes. */
export type ControlFailure = z.output<typeof failureSchema>;

export const replySchema = z.discriminatedUnion('ok', [
  z.object({ v: z.number().int(), ok: z.literal(true), result: z.unknown() }),
  z.object({ v: z.number().int(), ok: z.literal(false), error: failureSchema, version: z.string().optional() }),
]);

export type ControlReply = z.output<typeof replySchema>;
