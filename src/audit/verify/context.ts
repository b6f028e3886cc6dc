import type { BlobStore } from '../../blob/store.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { FileSource } from '../../follow/refresh.ts';
import type { Fid } from '../../identity/fid.ts';
import type { LustreFileSystem } from '../../lustre/file-system.ts';
import type { Scanner } from '../../lustre/scanner.ts';
import type { ScanTarget } from '../../scan/types.ts';
import type { Checksums } from './checksums.ts';
import type { FindingSink } from './doubts.ts';
import { type Looked, lookAtMany } from './look.ts';
import type { VerifyTally } from './tally.ts';
import type { VerifyProgress } from './types.ts';

export interface VerifyOptions {
  readonly catalog: Catalog;
  readonly fs: Pick<LustreFileSystem, 'files' | 'dataPath' | 'mount'>;
  readonly fsUuid: string;
  readonly source: Pick<FileSource, 'look'>;
  readonly startScanner: () => Promise<Pick<Scanner, 'walk' | 'close'>>;
  /** By archive id; they belong to the file system. */
  readonly archives: ReadonlyMap<number, BlobStore>;
  /** All of it, or a directory and what is below it. */
  readonly target: ScanTarget;
  /** Requests at the same time. */
  readonly parallel: number;
  readonly pageSize?: number;
  /** Read the contents, too. */
  readonly checksum: boolean;
  /** A difference is told when it is there after this time, too, of a file that has not changed meanwhile. Milliseconds. */
  readonly settle: number;
  /** Put right what is provably safe to. */
  readonly repair: boolean;
  readonly onProgress?: (progress: () => VerifyProgress) => void;
  readonly signal: AbortSignal;
}

/** What the phases work with. */
export interface VerifyContext extends VerifyOptions {
  readonly tally: VerifyTally;
  readonly findings: FindingSink;
  /** Without `checksum`: nothing is read. */
  readonly checksums: Checksums | undefined;
  /** Seconds since 1970: what was seen in the container from then on, this run has seen. */
  readonly since: number;
  readonly tell: () => void;
}

/** Looks at FIDs, at what could not be looked at once more: users rename while it is asked for. Counts what is left of it. */
export async function look(context: VerifyContext, fids: readonly Fid[]): Promise<Map<Fid, Looked>> {
  const looked = await lookAtMany({ source: context.source, files: context.fs.files }, fids);
  const failed = fids.filter((fid) => looked.get(fid) === 'failed');
  for (const [fid, one] of await lookAtMany({ source: context.source, files: context.fs.files }, failed)) {
    looked.set(fid, one);
    if (one === 'failed') context.tally.failed += 1;
  }
  return looked;
}

/** When what is seen now was seen, for the catalog. */
export function seenAt({ since }: VerifyContext): number {
  return Math.max(Math.floor(Date.now() / 1000), since);
}
