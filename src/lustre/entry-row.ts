import type { Fid } from '../identity/fid.ts';
import { BugError } from '../service/errors.ts';
import type { FileType } from './attributes.ts';
import { bytesOfName, type WireName } from './bytes.ts';
import type { CurrentAction } from './hsm-state.ts';
import type { EntryState, Link } from './scan-entry.ts';

type WireLink = readonly [parent: Fid, name: WireName];

/** An entry as it is on the wire (docs/internals/helper-protocol.md); what is missing at the end has its usual value. */
export type EntryRow = readonly [
  fid: Fid,
  name: WireName,
  /** With the type. */
  mode: number,
  uid: number,
  gid: number,
  nlink: number,
  size: number,
  blocks: number,
  atime: number,
  mtime: number,
  ctime: number,
  btime: number | null,
  project: number | null,
  hsm?: number | null,
  archive?: number,
  osts?: readonly number[],
  pool?: string,
  record?: string | null,
  lemur?: string | null,
  links?: readonly [list: readonly WireLink[], complete: boolean],
  /** Where it was asked for. */
  action?: RawAction | number,
];

/** What the coordinator has under way for a file. */
export interface RawAction {
  readonly action: CurrentAction['action'];
  readonly state: CurrentAction['state'];
  readonly done: string;
}

const NO_OSTS: readonly number[] = [];
/** By S_IFMT >> 12. */
const TYPES: ReadonlyMap<number, FileType> = new Map([
  [1, 'fifo'],
  [2, 'chr'],
  [4, 'dir'],
  [6, 'blk'],
  [8, 'file'],
  [10, 'symlink'],
  [12, 'sock'],
]);

/** One shape for all, without loops in the common case: this runs for every entry of a file system. */
export function stateOf(row: EntryRow): EntryState {
  const links = row[19];
  return {
    fid: row[0],
    type: typeOf(row[2]),
    mode: row[2] & 0o7777,
    uid: row[3],
    gid: row[4],
    nlink: row[5],
    size: row[6],
    blocks: row[7],
    atime: row[8],
    mtime: row[9],
    ctime: row[10],
    btime: row[11],
    project: row[12],
    hsm: row[13] === undefined ? 0 : row[13],
    archive: row[14] ?? 0,
    osts: row[15] ?? NO_OSTS,
    pool: row[16] ?? '',
    record: decoded(row[17]),
    lemur: decoded(row[18]),
    links: links === undefined ? null : links[0].map(linkOf),
    linksComplete: links === undefined || links[1],
  };
}

/** The same with what is under way for it; of what is no file, or can't be asked, without. */
export function stateWithAction(row: EntryRow): EntryState {
  const action = row[20];
  if (typeof action !== 'object') return stateOf(row);
  return { ...stateOf(row), action: { ...action, done: BigInt(action.done) } };
}

/** The bytes of an entry's name: there always are some. */
export function entryName(name: WireName): Buffer {
  const bytes = bytesOfName(name);
  if (bytes === null) throw new BugError('the helper told of an entry without a name');
  return bytes;
}

function typeOf(mode: number): FileType {
  const type = TYPES.get(mode >> 12);
  if (type === undefined) throw new BugError(`the helper told of a file with the mode ${mode}`);
  return type;
}

function decoded(value: string | null | undefined): Buffer | null {
  return value === undefined || value === null ? null : Buffer.from(value, 'base64');
}

function linkOf([parent, name]: WireLink): Link {
  return { parent, name: entryName(name) };
}
