import { isUtf8 } from 'node:buffer';
import type { Fid } from '../identity/fid.ts';
import { BugError } from '../service/errors.ts';
import { type EntryRow, stateOf } from './entry-row.ts';
import { ERRNO } from './errno.ts';
import { type HelperOptions, HelperProcess } from './helper.ts';
import type { EntryState } from './scan-entry.ts';

export interface MakeAttributes {
  /** The low 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970: Lustre keeps no more. */
  readonly mtime: number;
}

/** The value of `trusted.lfsazsync` before and after the FID of the file, which Lustre gives. */
export type RecordParts = readonly [before: string, after: string];

/** Something to be made in a directory. */
export type MakeItem =
  | ({
      readonly kind: 'file';
      readonly name: Buffer;
      readonly size: bigint;
      readonly record: RecordParts;
    } & MakeAttributes)
  | ({ readonly kind: 'empty'; readonly name: Buffer; readonly record: RecordParts } & MakeAttributes)
  | ({ readonly kind: 'dir'; readonly name: Buffer } & Omit<MakeAttributes, 'mtime'>)
  | ({ readonly kind: 'symlink'; readonly name: Buffer; readonly target: Buffer } & Omit<MakeAttributes, 'mode'>)
  | { readonly kind: 'link'; readonly name: Buffer; readonly of: Fid };

/** What came of it: its FID; what has the name already (undefined: that could not be told); or why not. */
export type Made = { readonly made: Fid } | { readonly there: EntryState | undefined } | { readonly errno: number };

export interface MakeOptions {
  readonly archive: number;
  /** 0: Lustre's default; -1: all OSTs. */
  readonly stripeCount: number;
  readonly pool: string | undefined;
}

/** A released file that is to stand for another version. */
export interface Rebinding extends MakeAttributes {
  readonly fid: Fid;
  readonly size: bigint;
  readonly record: RecordParts;
}

/** A name that is to go, of that file; `clean`: only if the archive has its data. */
export interface Removal {
  readonly parent: Fid;
  readonly name: Buffer;
  readonly fid: Fid;
  readonly clean: boolean;
}

/** Items in one request; more go in several, at the same time. */
const AT_ONCE = 128;
/** Bytes of names, records and targets in one request, far below the protocol's 1 MiB. */
const REQUEST_BYTES = 256 * 1024;

type Wire = readonly unknown[];

/** The helper's mode `import`: docs/internals/helper-protocol.md says what it makes, and how. Rejections: the helper is gone. */
export class Importer {
  readonly #helper: HelperProcess;

  private constructor(helper: HelperProcess) {
    this.#helper = helper;
  }

  static async start(options: Omit<HelperOptions, 'mode' | 'args'>): Promise<Importer> {
    return new Importer(await HelperProcess.start({ ...options, mode: 'import' }));
  }

  get pid(): number {
    return this.#helper.pid;
  }

  /** Makes things in directories, as many as there are, at the same time. Results are in the order of the items. */
  async make(groups: ReadonlyMap<Fid, readonly MakeItem[]>, options: MakeOptions): Promise<Map<Fid, Made[]>> {
    const results = new Map([...groups].map(([parent]) => [parent, [] as Made[]]));
    const { archive, stripeCount: stripe_count, pool } = options;
    const layout = { archive, stripe_count, ...(pool === undefined ? {} : { pool }) };
    const requests = [...portionsOf(groups)].map(async (portion) => {
      const list = portion.map(({ parent, items }) => [parent, items.map(wireItem)]);
      const reply = await this.#helper.request<{ list: WireMade[] }>('make', { ...layout, list });
      let at = 0;
      for (const { parent, from, items } of portion) {
        const made = results.get(parent) as Made[];
        for (let i = 0; i < items.length; i++) made[from + i] = madeOf(reply.list[at++]);
      }
      if (at !== reply.list.length) throw new BugError(`the helper answered ${reply.list.length} items to ${at}`);
    });
    await allOf(requests);
    return results;
  }

  /** Owner, mode and mtime of many; errnos, 0 for done, in their order. */
  attributes(list: readonly ({ readonly fid: Fid } & MakeAttributes)[]): Promise<number[]> {
    return this.#each('attributes', {}, list, ({ fid, mode, uid, gid, mtime }) => [fid, mode, uid, gid, mtime]);
  }

  /** Makes released files stand for other versions. EBUSY: it is not released and clean (any more). */
  rebind(list: readonly Rebinding[], archive: number): Promise<number[]> {
    return this.#each('rebind', { archive }, list, ({ fid, mode, uid, gid, mtime, size, record }) => [
      ...[fid, mode, uid, gid, mtime, String(size)],
      ...record,
    ]);
  }

  /** Removes names. ESTALE: it is another file's by now; EBUSY: not clean; ENOTEMPTY: a directory with something in it. */
  remove(list: readonly Removal[]): Promise<number[]> {
    return this.#each('remove', {}, list, ({ parent, name, fid, clean }) => [parent, wireName(name), fid, clean]);
  }

  async close(): Promise<void> {
    await this.#helper.close();
  }

  async #each<T>(op: string, fields: object, items: readonly T[], wire: (item: T) => Wire): Promise<number[]> {
    const replies: Promise<{ list: number[] }>[] = [];
    for (let at = 0; at < items.length; at += AT_ONCE) {
      const list = items.slice(at, at + AT_ONCE).map(wire);
      replies.push(this.#helper.request<{ list: number[] }>(op, { ...fields, list }));
    }
    return (await allOf(replies)).flatMap(({ list }) => list.map((rc) => -rc));
  }
}

/** All, or the first failure when none is under way any more. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}

interface Portion {
  readonly parent: Fid;
  readonly from: number;
  readonly items: readonly MakeItem[];
}

/** Requests of at most so many items, whatever directories they are in. */
function* portionsOf(groups: ReadonlyMap<Fid, readonly MakeItem[]>): Generator<Portion[]> {
  let portion: Portion[] = [];
  let room = AT_ONCE;
  let bytes = 0;
  for (const [parent, items] of groups) {
    for (let from = 0; from < items.length; ) {
      let to = from;
      while (to < items.length && to - from < room && bytes < REQUEST_BYTES) bytes += weightOf(items[to++] as MakeItem);
      if (to > from) portion.push({ parent, from, items: items.slice(from, to) });
      room -= to - from;
      from = to;
      if (room > 0 && bytes < REQUEST_BYTES) continue;
      yield portion;
      [portion, room, bytes] = [[], AT_ONCE, 0];
    }
  }
  if (portion.length > 0) yield portion;
}

/** What it has in a request, quoted and encoded, at most. */
function weightOf(item: MakeItem): number {
  if (item.kind === 'symlink') return 1024 + item.target.length * 2;
  return 'record' in item ? 1024 + (item.record[0].length + item.record[1].length) * 4 : 1024;
}

function wireItem(item: MakeItem): Wire {
  const name = wireName(item.name);
  switch (item.kind) {
    case 'file':
      return ['file', name, item.mode, item.uid, item.gid, item.mtime, String(item.size), ...item.record];
    case 'empty':
      return ['empty', name, item.mode, item.uid, item.gid, item.mtime, ...item.record];
    case 'dir':
      return ['dir', name, item.mode, item.uid, item.gid];
    case 'symlink':
      return ['symlink', name, item.uid, item.gid, item.mtime, wireName(item.target)];
    case 'link':
      return ['link', name, item.of];
  }
}

const wireName = (bytes: Buffer): string | { b64: string } =>
  isUtf8(bytes) ? bytes.toString('utf8') : { b64: bytes.toString('base64') };

type WireMade = string | number | readonly [rc: number, entry: EntryRow | null];

function madeOf(wire: WireMade | undefined): Made {
  if (typeof wire === 'string') return { made: wire as Fid };
  if (typeof wire === 'number') return { errno: -wire };
  if (wire === undefined || wire[0] !== -ERRNO.EEXIST) throw new BugError('the helper told nothing of an item');
  return { there: wire[1] === null ? undefined : stateOf(wire[1]) };
}
