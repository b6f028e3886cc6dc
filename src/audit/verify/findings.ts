import type { Catalog } from '../../catalog/catalog.ts';
import type { KnownBlob } from '../../catalog/types.ts';
import { REASON } from '../../follow/reasons.ts';
import type { Fid } from '../../identity/fid.ts';
import type { LustreFiles } from '../../lustre/attributes.ts';
import { HSM, isClean, isReleased } from '../../lustre/hsm-state.ts';
import { ErrnoError } from '../../service/errors.ts';
import type { FindingSink } from './doubts.ts';
import type { VerifyTally } from './tally.ts';
import type { VerifyFinding } from './types.ts';

/** A finding before anything was done about it. */
export type Found = Omit<VerifyFinding, 'repaired'>;

export interface FindingsOptions {
  readonly catalog: Catalog;
  readonly files: LustreFiles;
  readonly tally: VerifyTally;
  readonly repair: boolean;
  /** Told of each, in order; what it returns is waited for. */
  readonly onFinding: (finding: VerifyFinding) => void | Promise<void>;
}

/** Takes findings: tells them, counts them, and hands them over to who puts them right. */
export class Findings implements FindingSink {
  readonly #options: FindingsOptions;

  constructor(options: FindingsOptions) {
    this.#options = options;
  }

  /**
   * Nothing is told of a file that is in the journal: the follower is about to look at it. What was given up is told.
   */
  async add(found: Found, blob?: KnownBlob): Promise<void> {
    const { catalog, tally, repair, onFinding } = this.#options;
    const row = await catalog.journalEntry(found.fid);
    if (row !== undefined && row.quarantinedAt === undefined) {
      tally.pending += 1;
      return;
    }
    const repaired = repair && (await this.#repair(found, blob));
    tally.findings[found.code] = (tally.findings[found.code] ?? 0) + 1;
    if (repaired) tally.repaired += 1;
    await onFinding({ ...found, repaired });
  }

  async #repair({ code, fid, remedy }: Found, blob: KnownBlob | undefined): Promise<boolean> {
    const { catalog } = this.#options;
    const since = Math.floor(Date.now() / 1000);
    if (remedy === 'archive') return await this.#markDirty(fid);
    if (remedy === 'none') return false;
    const blobs = blob === undefined ? [] : [{ fid, blob }];
    // What the catalog has wrong is looked at in Lustre; what follows for the container follows from that.
    if (code === 'orphan' || code.startsWith('catalog-'))
      await catalog.apply({ blobs, marks: [{ fid, hints: 0, since }] });
    if (code !== 'orphan' && (await catalog.present([fid])).has(fid))
      await catalog.apply({ blobs, journal: [{ fid, reasons: REASON.SWEPT, since }] });
    return true;
  }

  /** Has a file archived anew whose data are in Lustre. What was released meanwhile must not: its copy is its only data. */
  async #markDirty(fid: Fid): Promise<boolean> {
    const { files } = this.#options;
    try {
      const { hsm } = await files.get({ fid }, { parts: ['hsm'] });
      if (hsm === undefined || !isClean(hsm) || isReleased(hsm) || (hsm.states & HSM.LOST) !== 0) return false;
      await files.setHsm(fid, { set: HSM.DIRTY | HSM.EXISTS, clear: 0, archive: 0 });
      return true;
    } catch (error) {
      if (error instanceof ErrnoError) return false;
      throw error;
    }
  }
}
