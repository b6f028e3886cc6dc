import type { Entry, Link } from '../../src/catalog/types.ts';
import type { Seen } from '../../src/follow/fresh.ts';
import type { FileSource } from '../../src/follow/refresh.ts';
import { type Fid, ROOT_FID } from '../../src/identity/fid.ts';
import { type FileRecord, RECORD_XATTR } from '../../src/identity/file-record.ts';
import type { FileType } from '../../src/lustre/attributes.ts';
import { type ChangelogRecord, RecordType } from '../../src/lustre/changelog-record.ts';
import { entry, fid } from './catalog.ts';

interface Thing {
  readonly fid: Fid;
  entry: Entry;
  links: Link[];
  record?: FileRecord;
  /** Held open: it lives on without a name. */
  open: boolean;
}

/**
 * A file system that is only a table, with the changelog records that Lustre writes for what is done to it (recorded:
 * lustre-facts 01, 03, 04). For what is to hold for any order of things; the rest is tested on the stand-in.
 */
export class ModelFileSystem implements FileSource {
  readonly things = new Map<Fid, Thing>();
  /** Every FID that ever was. */
  readonly ever = new Set<Fid>();
  readonly logs: ChangelogRecord[][];
  /** What archives left in the container: where each file was at its first, and the directories above it. */
  readonly blobs = new Map<Fid, { readonly path: string; readonly of: Set<Fid> }>();
  /** What was renamed or linked at least once. */
  readonly moved = new Set<Fid>();
  /** Every directory that something ever had a name in. */
  readonly #homes = new Map<Fid, Set<Fid>>();
  readonly #dialect: '2.15' | '2.17';
  #clock = 1_700_000_000;
  #next = 1;

  constructor(mdts: number, dialect: '2.15' | '2.17') {
    this.logs = Array.from({ length: mdts }, () => []);
    this.#dialect = dialect;
    this.#add({ fid: ROOT_FID, entry: entry(ROOT_FID, { type: 'dir', nlink: 2 }), links: [], open: false });
  }

  // What users do. `pick` numbers choose among what there is; what is not possible is not done.

  make(type: FileType, where: number, name: string): void {
    const parent = this.#pick(where, (thing) => thing.entry.type === 'dir');
    if (parent === undefined || this.#at(parent.fid, name) !== undefined) return;
    const made = fid(this.#next++);
    this.#add({
      fid: made,
      entry: { ...entry(made, { type, nlink: type === 'dir' ? 2 : 1 }), ...this.#now() },
      links: [{ parent: parent.fid, name: Buffer.from(name) }],
      open: false,
    });
    const types = { file: 'CREAT', dir: 'MKDIR', symlink: 'SLINK' } as const;
    const record = types[type as keyof typeof types] ?? 'MKNOD';
    this.#tell(record, { fid: made, parent: parent.fid, name: Buffer.from(name) });
    this.#touch(parent);
    if (type === 'file') this.#tell('CLOSE', { fid: made, flags: 0x42 });
  }

  link(which: number, where: number, name: string): void {
    const file = this.#pick(which, (thing) => thing.entry.type === 'file' && thing.links.length > 0);
    const parent = this.#pick(where, (thing) => thing.entry.type === 'dir');
    if (file === undefined || parent === undefined || this.#at(parent.fid, name) !== undefined) return;
    this.moved.add(file.fid);
    this.#setLinks(file, [...file.links, { parent: parent.fid, name: Buffer.from(name) }]);
    this.#tell('HLINK', { fid: file.fid, parent: parent.fid, name: Buffer.from(name) });
    this.#touch(parent);
  }

  remove(which: number, whichLink: number): void {
    const thing = this.#pick(which, (one) => one.links.length > 0 && this.#isEmpty(one));
    const link = thing?.links[whichLink % thing.links.length];
    if (thing === undefined || link === undefined) return;
    const flags = this.#dropLink(thing, link);
    this.#tell(thing.entry.type === 'dir' ? 'RMDIR' : 'UNLNK', { fid: thing.fid, flags, ...link });
    this.#touch(this.things.get(link.parent));
  }

  rename(which: number, where: number, name: string): void {
    const thing = this.#pick(which, (one) => one.links.length > 0);
    const parent = this.#pick(
      where,
      (one) => one.entry.type === 'dir' && (thing === undefined || !this.#isBelow(one, thing)),
    );
    const link = thing?.links[0];
    if (thing === undefined || parent === undefined || link === undefined) return;
    const victim = this.#at(parent.fid, name);
    // Onto another link of the same file: nothing happens, and no record tells.
    if (victim === thing) return;
    const [dir, victimDir] = [thing.entry.type === 'dir', victim?.entry.type === 'dir'];
    if (victim !== undefined && (dir !== victimDir || !this.#isEmpty(victim))) return;
    const to = { parent: parent.fid, name: Buffer.from(name) };
    const flags = victim === undefined ? 0 : this.#dropLink(victim, to);
    this.moved.add(thing.fid);
    this.#setLinks(thing, [...thing.links.filter((one) => one !== link), to]);
    this.#tell('RENME', {
      fid: victim?.fid ?? null,
      flags,
      ...to,
      sourceFid: thing.fid,
      sourceParent: link.parent,
      sourceName: link.name,
    });
    this.#touch(parent);
    this.#touch(this.things.get(link.parent));
  }

  chmod(which: number, mode: number): void {
    const thing = this.#pick(which, () => true);
    if (thing === undefined) return;
    thing.entry = { ...thing.entry, mode, ctime: this.#clock++ };
    this.#tell('SATTR', { fid: thing.fid, flags: 0x14 });
  }

  /** A time that is set shows in a CLOSE only; writing does, too. */
  write(which: number, size: number): void {
    const file = this.#pick(which, (thing) => thing.entry.type === 'file');
    if (file === undefined || (file.entry.hsm & 0x4) !== 0) return;
    const archived = (file.entry.hsm & 0x8) !== 0;
    file.entry = { ...file.entry, size: BigInt(size), hsm: file.entry.hsm | (archived ? 0x2 : 0), ...this.#now() };
    if (archived) this.#tell('HSM', { fid: file.fid, flags: 0x680 });
    this.#tell('CLOSE', { fid: file.fid, flags: 0x442 });
  }

  archive(which: number): void {
    const file = this.#pick(which, (thing) => thing.entry.type === 'file' && thing.links.length > 0);
    if (file === undefined || (file.entry.hsm & 0x4) !== 0) return;
    const seq = (file.record !== undefined && 'generation' in file.record ? file.record.generation.seq : 0) + 1;
    const generation = { seq, uuid: '00000000-0000-4000-8000-000000000000' };
    file.record = { fid: file.fid, generation, size: file.entry.size, crc64: '0'.repeat(16), at: `b-${file.fid}` };
    this.#upload(file);
    this.#tell('XATTR', { fid: file.fid, xattr: RECORD_XATTR });
    file.entry = { ...file.entry, hsm: 0x9, archive: 1 };
    for (const flags of [0x280, 0x0]) this.#tell('HSM', { fid: file.fid, flags });
  }

  release(which: number): void {
    const file = this.#pick(which, (thing) => thing.entry.hsm === 0x9);
    if (file === undefined) return;
    file.entry = { ...file.entry, hsm: 0xd, osts: [], blocks: 1n };
    if (this.#dialect === '2.15') {
      this.#tell('HSM', { fid: file.fid, flags: 0x180 });
      this.#tell('LYOUT', { fid: file.fid });
      return;
    }
    for (const type of ['TRUNC', 'LYOUT', 'CLOSE'] as const) this.#tell(type, { fid: file.fid, flags: 0xf });
  }

  restore(which: number): void {
    const file = this.#pick(which, (thing) => thing.entry.hsm === 0xd);
    if (file === undefined) return;
    file.entry = { ...file.entry, hsm: 0x9, osts: [1], blocks: 8n };
    for (const flags of this.#dialect === '2.15' ? [0x80] : [0x0, 0x180, 0x80])
      this.#tell('HSM', { fid: file.fid, flags });
  }

  hold(which: number): void {
    const file = this.#pick(which, (thing) => thing.entry.type === 'file');
    if (file !== undefined) file.open = true;
  }

  /** Programs close what they hold: what has no name any more dies, and no record tells. */
  closeAll(): void {
    for (const thing of [...this.things.values()]) {
      thing.open = false;
      if (thing.links.length === 0 && thing.fid !== ROOT_FID) this.things.delete(thing.fid);
    }
  }

  /** Every directory that it was ever below, as far as that does not change with theirs. */
  above(of: Fid): Set<Fid> {
    const above = new Set<Fid>();
    const left = [of];
    for (let at = left.pop(); at !== undefined; at = left.pop()) {
      for (const home of this.#homes.get(at) ?? []) {
        if (home === ROOT_FID || above.has(home)) continue;
        above.add(home);
        left.push(home);
      }
    }
    return above;
  }

  // What the product sees.

  seen(of: Fid): Seen {
    const thing = this.things.get(of);
    if (thing === undefined) return { kind: 'dead' };
    const record = thing.record === undefined ? {} : { record: thing.record };
    return { kind: 'alive', fresh: { entry: thing.entry, links: thing.links, ...record } };
  }

  /** Whose changelog has the records about it. */
  mdtOf(of: Fid): number {
    return Number(of.split(':')[1]) % this.logs.length;
  }

  async look(fids: readonly Fid[]): Promise<Map<Fid, Seen>> {
    return new Map(fids.map((one) => [one, this.seen(one)]));
  }

  async stripes(): Promise<Map<Fid, Fid>> {
    return new Map();
  }

  #add(thing: Thing): void {
    this.things.set(thing.fid, thing);
    this.ever.add(thing.fid);
    this.#housed(thing);
  }

  #pick(which: number, fit: (thing: Thing) => boolean): Thing | undefined {
    const fitting = [...this.things.values()].filter(fit);
    return fitting[which % Math.max(1, fitting.length)];
  }

  #at(parent: Fid, name: string): Thing | undefined {
    const bytes = Buffer.from(name);
    const here = (link: Link) => link.parent === parent && link.name.equals(bytes);
    return [...this.things.values()].find((thing) => thing.links.some(here));
  }

  #isEmpty(thing: Thing): boolean {
    return ![...this.things.values()].some((one) => one.links.some((link) => link.parent === thing.fid));
  }

  #isBelow(one: Thing, other: Thing): boolean {
    for (let at: Thing | undefined = one; at !== undefined; at = this.things.get(at.links[0]?.parent as Fid)) {
      if (at === other) return true;
    }
    return false;
  }

  #housed(thing: Thing): void {
    const homes = this.#homes.get(thing.fid) ?? new Set();
    this.#homes.set(thing.fid, homes);
    for (const { parent } of thing.links) homes.add(parent);
  }

  /** As the copytool does: the file's blob at its path, and markers of the directories above it. */
  #upload(file: Thing): void {
    const above: Thing[] = [];
    for (let at: Thing | undefined = file; at !== undefined && at.fid !== ROOT_FID; ) {
      above.unshift(at);
      at = this.things.get(at.links[0]?.parent as Fid);
    }
    const names: string[] = [];
    for (const thing of above) {
      names.push(String(thing.links[0]?.name));
      const blob = this.blobs.get(thing.fid) ?? { path: names.join('/'), of: new Set() };
      this.blobs.set(thing.fid, blob);
      blob.of.add(file.fid);
    }
  }

  #setLinks(thing: Thing, links: Link[]): void {
    thing.links = links;
    this.#housed(thing);
    if (thing.entry.type !== 'dir') thing.entry = { ...thing.entry, nlink: links.length };
    thing.entry = { ...thing.entry, ctime: this.#clock++ };
  }

  /** @returns the flags that the record of it has */
  #dropLink(thing: Thing, link: Link): number {
    this.#setLinks(
      thing,
      thing.links.filter((one) => one.parent !== link.parent || !one.name.equals(link.name)),
    );
    if (thing.links.length > 0) return 0;
    if (thing.entry.type === 'dir') thing.entry = { ...thing.entry, nlink: 0 };
    if (!thing.open) this.things.delete(thing.fid);
    return 0x1 | (thing.entry.hsm === 0 ? 0 : 0x2);
  }

  #touch(directory: Thing | undefined): void {
    if (directory !== undefined) directory.entry = { ...directory.entry, ...this.#now() };
  }

  #now(): { mtime: number; ctime: number } {
    const now = this.#clock++;
    return { mtime: now, ctime: now };
  }

  #tell(type: keyof typeof RecordType, what: Partial<ChangelogRecord>): void {
    const about = what.sourceFid ?? what.fid ?? ROOT_FID;
    const log = this.logs[this.mdtOf(about)] as ChangelogRecord[];
    log.push({
      index: log.length + 1,
      type: RecordType[type],
      flags: 0,
      time: this.#clock * 1000,
      fid: null,
      parent: null,
      name: null,
      uid: null,
      gid: null,
      sourceFid: null,
      sourceParent: null,
      sourceName: null,
      xattr: null,
      ...what,
    });
  }
}
