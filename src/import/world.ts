import type { BlobState } from '../blob/state.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { BlobIdentity } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import type { Importer } from '../lustre/importer.ts';
import type { Ledger } from './ledger.ts';
import type { ImportCounts, ImportProblem, ImportRequest } from './types.ts';

/** All that an import works with. */
export interface ImportWorld {
  readonly request: ImportRequest;
  /** The file system's. */
  readonly uuid: string | undefined;
  /** The archive's. */
  readonly prefix: string;
  readonly ledger: Ledger;
  /** Nothing of these two is there in a dry run: it makes nothing and remembers nothing. */
  readonly lustre?: LustrePart | undefined;
  readonly catalog?: Catalog | undefined;
  readonly counts: ImportCounts;
  /** Copies of other file systems that wait in staging, by `stagedKey`. */
  readonly staged: Map<string, { readonly name: string; readonly seq: number }>;
  readonly tell: (problem: ImportProblem) => void;
  /** The bytes of a small blob, as it was when it was listed. */
  readonly readBody: (blob: BlobState) => Promise<Buffer>;
  /** Seconds since 1970: when the import began, which directories get that no blob says anything of. */
  readonly began: number;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** The file that a blob is of. */
export const stagedKey = ({ fs, fid }: Pick<BlobIdentity, 'fs' | 'fid'>): string => `${fs}/${fid}`;

export interface LustrePart {
  readonly importer: Pick<Importer, 'make' | 'attributes' | 'rebind' | 'remove'>;
  readonly files: Pick<LustreFiles, 'entries' | 'getMany' | 'setXattr' | 'keepsXattrs'>;
  /** Rejects when the mounted file system is not ours any more. */
  readonly checkFileSystem: () => Promise<void>;
  /** Releases clean files; what can't be released is left. */
  readonly release: (fids: readonly Fid[]) => Promise<void>;
  /** Says that a file in Lustre is removed for a blob's sake; rejects when it can't be said. */
  readonly audit: (entry: { readonly blob: string; readonly fid: Fid; readonly reason: string }) => Promise<void>;
}
