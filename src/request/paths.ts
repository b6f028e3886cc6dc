import { readFileSync } from 'node:fs';
import { OperatorError } from '../service/errors.ts';

/** The longest path that a list may hold; Linux takes 4,096 bytes. */
const LONGEST = 64 * 1024;

/**
 * Paths from a list, one a line, or ended by NUL. Bytes as they are: no comments, no quotes, no trimming. Empty lines
 * are passed over.
 */
export async function* pathsFrom(
  list: AsyncIterable<Buffer>,
  options: { readonly nul: boolean },
): AsyncGenerator<Buffer, void, undefined> {
  const end = options.nul ? 0x00 : 0x0a;
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of list) {
    let rest: Buffer = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (let at = rest.indexOf(end); at !== -1; at = rest.indexOf(end)) {
      if (at > 0) yield rest.subarray(0, at);
      rest = rest.subarray(at + 1);
    }
    if (rest.length > LONGEST) throw tooLong(options.nul);
    held = rest;
  }
  if (held.length > 0) yield held;
}

function tooLong(nul: boolean): OperatorError {
  return new OperatorError(`The list of files has a path of more than ${LONGEST} bytes.`, {
    code: 'LIST_UNFIT',
    hint: nul
      ? 'Is it ended by newlines? Then leave out --from0.'
      : 'Is it ended by NUL, as by `find -print0`? Then add --from0.',
    exit: 'usage',
  });
}

/**
 * Arguments as the bytes they were given in. Node decodes the command line as UTF-8 and loses other bytes: where
 * U+FFFD shows that, they are taken from the kernel's copy of it.
 * @throws OperatorError when they can't be told apart there
 */
export function rawArguments(args: readonly string[], commandLine: () => Buffer = ownCommandLine): Buffer[] {
  if (!args.some((arg) => arg.includes('\uFFFD'))) return args.map((arg) => Buffer.from(arg));
  const words = split(commandLine());
  return args.map((arg) => {
    if (!arg.includes('\uFFFD')) return Buffer.from(arg);
    const at = words.findIndex((word) => word.toString('utf8') === arg);
    if (at !== -1) return words.splice(at, 1)[0] as Buffer;
    throw new OperatorError(`The argument ${JSON.stringify(arg)} is not UTF-8, and its bytes are lost.`, {
      code: 'ARGUMENT_NOT_UTF8',
      hint: 'Name such paths with --files-from (and --from0).',
      exit: 'usage',
    });
  });
}

const ownCommandLine = () => readFileSync('/proc/self/cmdline');

function split(line: Buffer): Buffer[] {
  const words: Buffer[] = [];
  for (let from = 0; from < line.length; ) {
    const end = line.indexOf(0, from);
    const to = end === -1 ? line.length : end;
    words.push(line.subarray(from, to));
    from = to + 1;
  }
  return words;
}
