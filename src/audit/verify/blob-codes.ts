import type { BlobState } from '../../blob/state.ts';
import type { Known } from '../../catalog/types.ts';
import { recogniseCopy } from '../../copies/search-copy.ts';
import type { BlobIdentity } from '../../identity/blob-identity.ts';
import { HSM, isClean } from '../../lustre/hsm-state.ts';
import { type Difference, judge } from '../judge.ts';
import { subjectAt } from '../subject.ts';
import { type Alive, ownerOf } from './look.ts';
import type { Remedy } from './types.ts';

export type OwnBlob = BlobState & { readonly identity: BlobIdentity };

export interface BlobPlace {
  readonly archive: number;
  readonly prefix: string;
  readonly fsUuid: string;
}

/** What is wrong with a blob of ours, by what Lustre says of its file just now, its record among that. */
export function codesOf(
  blob: OwnBlob,
  alive: Alive,
  known: Known | undefined,
  { archive, prefix, fsUuid }: BlobPlace,
): Difference[] {
  const subject = { ...subjectAt(alive.entry, alive.paths, prefix), userXattrs: alive.userXattrs };
  const here = (known?.blobs ?? []).filter((one) => one.archive === archive && one.kind === 'file');
  const codes = judge(blob, subject, { archive, prefix, contentAt: new Set(here.map(({ name }) => name)) });
  const isCopy = subject.type === 'file' && blob.identity.kind === 'file' && subject.archive === archive;
  if (!isCopy || !isClean(stateOf(alive)) || !subject.names.has(blob.name)) return codes;
  if (codes.includes('size') || codes.includes('unfinished')) return codes;
  const verdict = recogniseCopy(ownerOf(alive), blob, fsUuid, true);
  return verdict.copy ? codes : [...codes, 'generation'];
}

export const stateOf = ({ entry }: Alive) => ({ states: entry.hsm, archive: entry.archive });

/** Whether what is wrong is the copy itself: only another archive of the file makes another one. */
const OF_CONTENT: ReadonlySet<string> = new Set(['size', 'generation', 'unfinished', 'checksum-blob']);
/**
 * Nothing shows that these are not needed: a copy that is as it was archived may be all that is left of a file that has rotted
 * in Lustre, and must not be overwritten with that.
 */
const LEFT_ALONE: ReadonlySet<string> = new Set(['archive', 'unclaimed', 'checksum-file']);

/** What would put it right. */
export function remedyFor(code: string, alive: Alive | undefined): Remedy {
  if (LEFT_ALONE.has(code)) return 'none';
  if (!OF_CONTENT.has(code)) return 'follower';
  return alive !== undefined && isResident(alive) ? 'archive' : 'none';
}

/** Its data are in Lustre, so that it can be archived anew. */
export function isResident({ entry }: Alive): boolean {
  return entry.type === 'file' && (entry.hsm & (HSM.RELEASED | HSM.LOST)) === 0;
}
