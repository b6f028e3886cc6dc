import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { errnoText } from '../lustre/errno.ts';
import { printable } from '../lustre/printable.ts';
import { OperatorError } from '../service/errors.ts';

/** The longest path that a list may hold; Linux takes 4,096 bytes. */
const LONGEST = 64 * 1024;

/**
 * Paths from a list, one a line, or ended by NUL. Bytes as they are: no comments, no quotes, no trimming. Blank lines
 * are passed over; between two NULs nobody leaves a gap on purpose, so an empty path comes out as one.
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
      if (at > 0 || options.nul) yield rest.subarray(0, at);
      rest = rest.subarray(at + 1);
    }
    if (rest.length > LONGEST) throw tooLong(options.nul);
    held = rest;
  }
  if (held.length > 0) yield held;
}

/**
 * Opens a list of paths for reading.
 * @throws OperatorError when it can't be read, or is a directory
 */
export async function openList(file: string): Promise<AsyncIterable<Buffer>> {
  let why: string;
  try {
    const handle = await open(file);
    const directory = (await handle.stat()).isDirectory();
    if (!directory) return handle.createReadStream();
    await handle.close();
    why = 'it is a directory';
  } catch (cause) {
    const { errno = 0 } = cause as NodeJS.ErrnoException;
    why = errnoText(-errno);
  }
  throw new OperatorError(`The list of files ${printable(Buffer.from(file))} can't be read: ${why}.`, {
    code: 'LIST_UNREADABLE',
    hint: 'Give --files-from a file that holds paths, or - for standard input.',
    exit: 'usage',
  });
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
 * @throws OperatorError when they can't be told apart there, or one is empty: mostly a shell variable that is not set,
 *   which must not come to mean the current directory
 */
export function rawArguments(args: readonly string[], commandLine: () => Buffer = ownCommandLine): Buffer[] {
  if (args.includes('')) {
    throw new OperatorError('A path is empty.', {
      code: 'PATH_EMPTY',
      hint: "Is a shell variable not set? The current directory is named '.'.",
      exit: 'usage',
    });
  }
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
