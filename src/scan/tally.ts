import type { BatchResult } from '../catalog/types.ts';
import type { Refreshed } from '../follow/refresh.ts';
import type { Fid } from '../identity/fid.ts';
import type { FileType } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { ScanBatch } from '../lustre/scanner.ts';
import type { ScanCounts } from './types.ts';

/** Adds up what a scan sees. */
export class ScanTally {
  readonly #entries: Record<FileType, number> = { file: 0, dir: 0, symlink: 0, fifo: 0, chr: 0, blk: 0, sock: 0 };
  /** Kept one by one, since a directory may be readable when it is tried again. */
  readonly #unreadable = new Set<Fid>();
  #directories = 0;
  #added = 0;
  #changed = 0;
  #vanished = 0;
  #failed = 0;

  walked({ entries, directories, failures }: ScanBatch, { added, changed }: BatchResult): void {
    for (const { type } of entries) this.#entries[type] += 1;
    for (const { fid, errno } of directories) {
      if (errno === 0) this.#directories += 1;
      if (errno === 0 || errno === ERRNO.ENOENT) this.#unreadable.delete(fid);
      else this.#unreadable.add(fid);
    }
    this.#failed += failures.length;
    this.#added += added;
    this.#changed += changed;
  }

  looked({ added, changed, died }: Pick<Refreshed, 'added' | 'changed' | 'died'>): void {
    this.#added += added;
    this.#changed += changed;
    this.#vanished += died;
  }

  get unreadable(): ReadonlySet<Fid> {
    return this.#unreadable;
  }

  counts(): ScanCounts {
    return {
      entries: { ...this.#entries },
      total: Object.values(this.#entries).reduce((sum, count) => sum + count, 0),
      directories: this.#directories,
      added: this.#added,
      changed: this.#changed,
      vanished: this.#vanished,
      unreadable: this.#unreadable.size,
      failed: this.#failed,
    };
  }
}
