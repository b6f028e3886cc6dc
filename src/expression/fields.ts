import type { FileType } from '../lustre/attributes.ts';
import { parseBytes, parseDuration } from '../service/units.ts';
import type { Comparison, HsmFlag, NumberField, Operator, Span } from './ast.ts';
import { type Glob, GlobError, parseGlob } from './glob.ts';

/** What stands right of an operator. */
export interface Value {
  readonly text: string;
  readonly quoted: boolean;
}

/** A value that does not fit its field: what would, and at which of its characters. */
export class ValueError extends Error {
  readonly expected: string | undefined;
  readonly offset: number;

  constructor(message: string, expected?: string, offset = 0) {
    super(message);
    this.expected = expected;
    this.offset = offset;
  }
}

interface Field {
  /** Only `==` and `!=`. */
  readonly equality?: boolean;
  compare(name: string, operator: Operator, value: Value, span: Span): Comparison;
}

const TYPES: ReadonlyMap<string, FileType> = new Map([
  ['file', 'file'],
  ['directory', 'dir'],
  ['dir', 'dir'],
  ['symlink', 'symlink'],
  ['fifo', 'fifo'],
  ['chr', 'chr'],
  ['blk', 'blk'],
  ['sock', 'sock'],
]);

export const HSM_FLAGS: readonly HsmFlag[] = [
  'exists',
  'archived',
  'dirty',
  'released',
  'lost',
  'noarchive',
  'norelease',
];

export const isHsmFlag = (word: string): word is HsmFlag => (HSM_FLAGS as readonly string[]).includes(word);

const number = (read: (text: string) => number): Field => ({
  compare: (name, operator, value, span) => ({
    kind: 'number',
    field: name as NumberField,
    operator,
    value: read(value.text),
    ...span,
  }),
});

const age: Field = {
  compare: (name, operator, value, span) => ({
    kind: 'age',
    field: name as Extract<Comparison, { kind: 'age' }>['field'],
    operator,
    seconds: secondsOf(value.text),
    ...span,
  }),
};

const glob = (read: (value: Value) => Glob): Field => ({
  equality: true,
  compare: (name, operator, value, span) => ({
    kind: 'glob',
    field: name as Extract<Comparison, { kind: 'glob' }>['field'],
    equal: operator === '==',
    glob: read(value),
    ...span,
  }),
});

const owner: Field = {
  compare(name, operator, { text }, span) {
    const field = name as 'owner' | 'group';
    const id = /^\d+$/.test(text) ? Number(text) : undefined;
    if (id === undefined && /[*?[\]\\]/.test(text))
      throw new ValueError('wildcards are not for owners and groups', 'a name or a number');
    if (text === '') throw new ValueError('is empty', 'a name or a number');
    if (id !== undefined && id > 0xffffffff) throw new ValueError('is too large', 'a number of up to 32 bits');
    if (id === undefined && operator !== '==' && operator !== '!=')
      throw new ValueError(`names can't be compared by '${operator}'`, "a number, or '==' or '!='");
    return { kind: 'owner', field, operator, name: text, id, ...span };
  },
};

/** All fields but `xattr.NAME`, which `fieldOf` knows. */
const FIELDS: Readonly<Record<string, Field>> = {
  type: {
    equality: true,
    compare(_, operator, { text }, span) {
      const type = TYPES.get(text);
      if (type === undefined) throw new ValueError(`'${text}' is no type`, [...TYPES.keys()].join(', '));
      return { kind: 'type', equal: operator === '==', type, ...span };
    },
  },
  name: glob((value) => nameGlob(value.text, false)),
  /** Without regard to the case of ASCII letters. */
  iname: {
    equality: true,
    compare: (_, operator, { text }, span) => ({
      kind: 'glob',
      field: 'name',
      equal: operator === '==',
      glob: nameGlob(text, true),
      ...span,
    }),
  },
  path: glob((value) => pathGlob(value.text)),
  tree: glob((value) => pathGlob(value.text)),
  pool: glob((value) => globOf(value.text)),
  size: number(measured(parseBytes, "a size such as '16MB' or '1GB'")),
  owner,
  group: owner,
  project: number(whole(0xffffffff)),
  mode: number(octal),
  nlink: number(whole(0xffffffff)),
  depth: number(whole(0xffff)),
  archive_id: number(whole(0xffff)),
  last_mod: age,
  last_access: age,
  last_change: age,
  creation: age,
  rm_time: age,
  ost: {
    equality: true,
    compare: (_, operator, { text }, span) => ({
      kind: 'ost',
      equal: operator === '==',
      index: whole(0xffff)(text),
      ...span,
    }),
  },
  class: {
    equality: true,
    compare: (_, operator, { text }, span) => ({
      kind: 'class',
      equal: operator === '==',
      glob: globOf(text),
      ...span,
    }),
  },
  hsm: {
    equality: true,
    compare(_, operator, { text }, span) {
      if (!isHsmFlag(text)) throw new ValueError(`'${text}' is no HSM flag`, HSM_FLAGS.join(', '));
      return { kind: 'hsm', equal: operator === '==', flag: text, ...span };
    },
  },
};

const XATTR = /^xattr\.(.+)$/s;

const xattr: Field = {
  equality: true,
  compare: (name, operator, { text }, span) => ({
    kind: 'xattr',
    name: name.slice('xattr.'.length),
    equal: operator === '==',
    glob: globOf(text),
    ...span,
  }),
};

/** Names for messages and suggestions. */
export const FIELD_NAMES: readonly string[] = [...Object.keys(FIELDS), 'xattr.NAME'];

/** What Robinhood calls it. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  ost_index: 'ost',
  ost_pool: 'pool',
  projid: 'project',
  last_mdchange: 'last_change',
  fileclass: 'class',
  user: 'owner',
  uid: 'owner',
  gid: 'group',
  atime: 'last_access',
  mtime: 'last_mod',
  ctime: 'last_change',
  status: 'hsm',
  archive: 'archive_id',
};

export const otherName = (word: string): string | undefined =>
  Object.hasOwn(OTHER_NAMES, word) ? OTHER_NAMES[word] : undefined;

export function fieldOf(word: string): Field | undefined {
  if (XATTR.test(word)) return xattr;
  return Object.hasOwn(FIELDS, word) ? FIELDS[word] : undefined;
}

/** A pattern for paths as it is kept: from the root on, with a slash before (unless `**` is), without one behind. */
function pathGlob(text: string): Glob {
  if (text === '') throw new ValueError('is empty', "a path such as '/scratch/tmp'; '/' is the root");
  const trimmed = text.replace(/(?<!\\)\/+$/, '');
  const whole = trimmed === '' || /^(\/|\*\*)/.test(trimmed) ? trimmed : `/${trimmed}`;
  const parsed = globOf(whole, whole.length - trimmed.length);
  return { ...parsed, text: whole === '' ? '/' : whole };
}

function nameGlob(text: string, ignoreCase: boolean): Glob {
  if (text.includes('/')) throw new ValueError('a name has no slash', "a name; for paths there are 'path' and 'tree'");
  return globOf(text, 0, ignoreCase);
}

function globOf(text: string, added = 0, ignoreCase = false): Glob {
  try {
    return parseGlob(text, { ignoreCase });
  } catch (error) {
    throw error instanceof GlobError ? new ValueError(error.message, undefined, error.offset - added) : error;
  }
}

function measured(parse: (text: string) => number, expected: string): (text: string) => number {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new ValueError(`'${text}' is ${(error as Error).message.split(':')[0]}`, expected);
    }
  };
}

function secondsOf(text: string): number {
  const expected = "a duration such as '30min', '6h', '1d' or '1y'";
  if (/^\d+$/.test(text) && text !== '0')
    throw new ValueError(`'${text}' has no unit`, `${expected.slice(0, -1)}', or '${text}s'`);
  let milliseconds: number;
  try {
    milliseconds = parseDuration(text);
  } catch {
    throw new ValueError(`'${text}' is not a duration`, expected);
  }
  if (milliseconds % 1000 !== 0) throw new ValueError('Lustre keeps whole seconds', 'a duration of whole seconds');
  return milliseconds / 1000;
}

function whole(most: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,10}$/.test(text) || Number(text) > most)
      throw new ValueError(`'${text}' is not a number that may stand here`, `a whole number up to ${most}`);
    return Number(text);
  };
}

function octal(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw new ValueError(`'${text}' is not a mode`, "octal digits such as '0644'");
  return Number.parseInt(text, 8);
}
