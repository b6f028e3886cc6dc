import { closeSync, existsSync, fdatasync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { actionKey, type HsmAction } from '../lustre/hsm-action.ts';
import type { Log, LogFields } from '../service/log.ts';
import type { ActionJournal, Unfinished } from './context.ts';
import { endedLine, type JournalOwner, ownerLine, parseJournal, takenLine } from './journal-format.ts';

/** Below this size, bytes, the journal is not rewritten. */
const COMPACT_BYTES = 1 << 20;
/** Milliseconds between two times that the journal is put on the disk. */
const SYNC_MS = 1_000;
/** Milliseconds between two tries to write a journal that could not be written. */
const REPAIR_MS = 5_000;

export interface JournalOptions extends JournalOwner {
  readonly file: string;
  readonly log: Log;
}

/**
 * The actions that were taken and not ended, in a file: what a later process adopts.
 *
 * Each is appended by one write before anything is done about it, so a process can be killed at any byte. The writes are
 * synchronous: they go to the page cache of a local disk, and must not wait in Node's thread pool behind reads that hang
 * on Lustre. Against the loss of power the file is put on the disk once a second, in the background: at most the actions
 * of the last second are then left to the coordinator's timeout, and 10,000 small files don't cost 20,000 fsyncs.
 *
 * What can't be written down is carried out all the same, with a warning: an action that is refused is worse than one
 * that can't be adopted. Ends that were not written are found out when the coordinator doesn't know the action.
 */
export class JournalFile implements ActionJournal {
  readonly #options: JournalOptions;
  readonly #open = new Map<string, Unfinished>();
  /** Not to be written to: it could not be read, opened or written. Tried again now and then. */
  #broken = false;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fd: number | undefined;
  #size = 0;
  /** Its size when it was last written anew. */
  #least = 0;
  /** Where the file that is there goes before another takes its place: it holds what could not be read. */
  #aside: string | undefined;
  /** Ends that are written with the next action, or soon. */
  #ended = '';
  #flush: NodeJS.Immediate | undefined;
  #sync: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: JournalOptions) {
    this.#options = options;
  }

  /**
   * Opens the journal, whatever state it is in; call it under the copytool's lock. One of another file system or mount
   * is set aside, beside it. Never throws for what is wrong with the file: that is logged.
   */
  static open(options: JournalOptions): JournalFile {
    const journal = new JournalFile(options);
    journal.#load();
    journal.#rewrite();
    return journal;
  }

  get unfinished(): readonly Unfinished[] {
    return [...this.#open.values()];
  }

  taken(action: HsmAction): void {
    this.#put({ action, adoptions: 0 });
  }

  adopted(action: HsmAction): void {
    this.#put({ action, adoptions: (this.#open.get(actionKey(action))?.adoptions ?? 0) + 1 });
  }

  ended(action: Pick<HsmAction, 'cookie' | 'fid'>): void {
    if (!this.#open.delete(actionKey(action)) || this.#broken) return;
    this.#ended += endedLine(action);
    this.#flush ??= setImmediate(() => this.#append(''));
  }

  close(): void {
    if (this.#closed) return;
    this.#append('');
    this.#closed = true;
    clearTimeout(this.#sync);
    if (this.#fd === undefined) return;
    this.#attempt('put on the disk', (fd) => fsyncSync(fd));
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  #put(unfinished: Unfinished): void {
    const key = actionKey(unfinished.action);
    this.#open.delete(key);
    this.#open.set(key, unfinished);
    if (this.#broken) this.#repair();
    else this.#append(takenLine(unfinished));
  }

  #load(): void {
    const { file, fs, mount, log } = this.#options;
    let content: Buffer;
    try {
      // A process was killed between putting the old file aside and the new one, which is whole, in its place.
      if (!existsSync(file) && existsSync(nextOf(file))) renameSync(nextOf(file), file);
      content = readFileSync(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#setAside('unreadable', 'journal can not be read: its actions are not adopted', { err: error });
      return;
    }
    const { owner, open, torn, foreign } = parseJournal(content);
    if (foreign > 0)
      this.#setAside('unreadable', 'journal has lines of another version: they are not adopted', { lines: foreign });
    if (open.size > 0 && (owner?.fs !== fs || owner.mount !== mount)) {
      this.#setAside(
        `of-${owner?.fs ?? 'unknown'}`,
        'journal is of another file system or mount: its actions are not adopted',
        { of: owner, actions: open.size },
      );
      return;
    }
    if (torn > 0) log.info('journal has lines that were not written to their end', { file, lines: torn });
    for (const [key, unfinished] of open) this.#open.set(key, unfinished);
  }

  #append(text: string): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const lines = this.#ended + text;
    this.#ended = '';
    if (lines === '' || this.#fd === undefined) return;
    const wrote = this.#attempt('written', (fd) => {
      const bytes = Buffer.from(lines);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      this.#size += bytes.length;
    });
    if (!wrote) return;
    this.#syncSoon();
    // So it is bounded by what is open, which the coordinator's limit bounds.
    if (this.#size > COMPACT_BYTES && this.#size > 2 * this.#least) this.#rewrite();
  }

  /** Carries something out on the file; when that fails, the journal is broken until it has been written anew. */
  #attempt(what: string, work: (fd: number) => void): boolean {
    if (this.#fd === undefined) return false;
    try {
      work(this.#fd);
      return true;
    } catch (error) {
      this.#fail(what, error);
      return false;
    }
  }

  #fail(what: string, error: unknown): void {
    if (!this.#broken)
      this.#options.log.error(
        `journal could not be ${what}: until that works again, actions at work are not adopted after a crash`,
        { file: this.#options.file, err: error },
      );
    this.#broken = true;
    this.#triedAt = performance.now();
  }

  #repair(): void {
    if (performance.now() - this.#triedAt < REPAIR_MS) return;
    this.#rewrite();
    if (!this.#broken) this.#options.log.info('journal can be written again', { file: this.#options.file });
  }

  #content(): string {
    let text = ownerLine(this.#options);
    for (const unfinished of this.#open.values()) text += takenLine(unfinished);
    return text;
  }

  /** Writes what is open into a new file, and puts that in the place of the old one. */
  #rewrite(): void {
    const { file } = this.#options;
    const next = nextOf(file);
    let fd: number | undefined;
    try {
      const bytes = Buffer.from(this.#content());
      fd = openSync(next, 'w', 0o600);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      // Before the old one goes: a loss of power must leave one of the two.
      fsyncSync(fd);
      if (this.#aside !== undefined && existsSync(file)) renameSync(file, this.#aside);
      this.#aside = undefined;
      renameSync(next, file);
      syncDirectory(dirname(file));
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = fd;
      this.#size = bytes.length;
      this.#least = bytes.length;
      this.#ended = '';
      this.#broken = false;
    } catch (error) {
      if (fd !== undefined && fd !== this.#fd) closeSync(fd);
      // The one that is there may do as it is; it is tried again when that has doubled.
      this.#least = this.#size;
      if (this.#broken || this.#fd === undefined) this.#fail('written', error);
    }
  }

  #syncSoon(): void {
    if (this.#sync !== undefined || this.#closed) return;
    this.#sync = setTimeout(() => {
      this.#sync = undefined;
      if (this.#fd !== undefined) fdatasync(this.#fd, () => {});
    }, SYNC_MS);
    this.#sync.unref();
  }

  /** Until it could be set aside, the file is not touched. */
  #setAside(ending: string, message: string, fields: LogFields): void {
    const { file, log } = this.#options;
    const first = `${file}.${ending}`;
    let aside = first;
    for (let n = 2; existsSync(aside); n++) aside = `${first}-${n}`;
    this.#aside = aside;
    log.warn(message, { file, aside, ...fields });
  }
}

/** Where it is written anew. */
function nextOf(file: string): string {
  return `${file}.new`;
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
