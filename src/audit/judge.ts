import { linkHash, metadataOf, mtimeIn, parseOwnMetadata } from '../blob/metadata.ts';
import { isReservedName } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import { encodeXattrs, readXattrs } from '../blob/xattrs.ts';
import type { BlobIdentity } from '../identity/blob-identity.ts';
import { formatGeneration } from '../identity/generation.ts';
import { hasCopy, isClean } from '../lustre/hsm-state.ts';
import type { Subject } from './subject.ts';

/**
 * How a blob can differ from what its file asks for. `place`: it is not at a name of its file; `staged`: it waits in our own
 * namespace, and need not any more; `kind`: a marker of another kind than its file is; `size`: not as long as it says,
 * or as its file is; `generation`: not the version that it should be; `unfinished`: a copy within the service that did not end; `target`: a symlink of another length; `link`: a hard link's marker that
 * names something else than the blob with the content; `attributes`: owner, group, mode, modification time or the keys that say
 * what it is; `archive`: the file's copy is in another archive; `unclaimed`: the copy of a file that is not in HSM any more.
 */
export type Difference =
  | 'place'
  | 'staged'
  | 'kind'
  | 'size'
  | 'generation'
  | 'unfinished'
  | 'target'
  | 'link'
  | 'attributes'
  | 'archive'
  | 'unclaimed';

/** What else is known when a blob is judged. */
export interface JudgeContext {
  readonly archive: number;
  readonly prefix: string;
  /** The version that the file is known to have at this name; undefined: not known. */
  readonly generation?: string | undefined;
  /** Where the file's content is known to be. */
  readonly contentAt?: ReadonlySet<string> | undefined;
}

type OwnBlob = BlobState & { readonly identity: BlobIdentity };

/**
 * What is wrong with a blob of ours, by what its file is: nothing for most. A modified file's copy is its next archive's
 * business, whatever it says and wherever it is; and nobody can say of a file without a name where its copy should be.
 */
export function judge(blob: OwnBlob, subject: Subject, context: JudgeContext): Difference[] {
  const { kind } = blob.identity;
  switch (subject.type) {
    case 'file':
      if (kind === 'file') return judgeCopy(blob, subject, context);
      return kind === 'link' ? judgeLink(blob, subject, context) : ['kind'];
    case 'dir':
    case 'symlink':
      return kind === subject.type ? judgeMarker(blob, subject) : ['kind'];
    default:
      return ['kind'];
  }
}

function judgeCopy(blob: OwnBlob, subject: Subject, { archive, prefix, generation }: JudgeContext): Difference[] {
  const { identity, length, copyStatus } = blob;
  if (subject.archive !== 0 && subject.archive !== archive) return ['archive'];
  if (!hasCopy(stateOf(subject))) return ['unclaimed'];
  if (!isClean(stateOf(subject)) || (subject.names.size === 0 && subject.unnameable === 0)) return [];
  if (isReservedName(blob.name, prefix)) return ['staged'];
  // An older version may be left beside the one that counts: the place is all that is wrong with it.
  if (!subject.names.has(blob.name)) return ['place'];
  const stamped = identity.from !== undefined && identity.size === undefined;
  const whole = (stamped || identity.size === length) && length === subject.size;
  const ended = copyStatus === undefined || copyStatus === 'success';
  const written = identity.generation === undefined ? undefined : formatGeneration(identity.generation);
  const known = generation === undefined || generation === written;
  return [
    ...(ended ? [] : (['unfinished'] as const)),
    ...(whole ? [] : (['size'] as const)),
    ...(known ? [] : (['generation'] as const)),
    ...judgeAttributes(blob, subject),
  ];
}

function judgeLink(blob: OwnBlob, subject: Subject, { contentAt }: JudgeContext): Difference[] {
  const wanted = hasCopy(stateOf(subject)) && subject.names.has(blob.name) && subject.names.size > 1;
  if (!wanted) return ['place'];
  const { linkTo, linkToSha256 } = parseOwnMetadata(blob.metadata);
  const says = (name: string) => linkTo === name || (linkToSha256 !== undefined && linkToSha256 === linkHash(name));
  const known = [...(contentAt ?? [])].filter((name) => subject.names.has(name) && name !== blob.name);
  const at = known.length > 0 ? known : [...subject.names].filter((name) => name !== blob.name);
  const right = at.some(says);
  // Those of a modified file are written with its next archive.
  return [...(right ? [] : (['link'] as const)), ...(isClean(stateOf(subject)) ? judgeAttributes(blob, subject) : [])];
}

function judgeMarker(blob: OwnBlob, subject: Subject): Difference[] {
  if (!subject.names.has(blob.name)) return ['place'];
  const length = subject.type === 'symlink' ? subject.size : 0n;
  return [...(blob.length === length ? [] : (['target'] as const)), ...judgeAttributes(blob, subject)];
}

/** Times are compared in whole seconds, as Lustre keeps them; what does not fit into metadata is left out there. */
function judgeAttributes(blob: OwnBlob, { mode, uid, gid, mtime, userXattrs }: Subject): Difference[] {
  const attributes = { mode, uid, gid, mtime: BigInt(mtime) * 1_000_000_000n };
  const wanted = metadataOf({ identity: blob.identity, attributes });
  const keys = new Map(Object.entries(blob.metadata).map(([key, value]) => [key.toLowerCase(), value]));
  const there = mtimeIn(keys);
  if (there === undefined || floorSeconds(there) !== BigInt(mtime)) return ['attributes'];
  for (const [key, value] of Object.entries(wanted)) {
    if (!TIMES.has(key) && keys.get(key) !== value) return ['attributes'];
  }
  const shown = blob.identity.kind === 'file' || blob.identity.kind === 'dir' ? userXattrs : undefined;
  if (shown !== undefined && encodeXattrs(shown).text !== readXattrs(blob.metadata)) return ['attributes'];
  return [];
}

const TIMES: ReadonlySet<string> = new Set(['modtime', 'lfsazsync_mtime']);
const SECOND = 1_000_000_000n;
const floorSeconds = (time: bigint) => (time >= 0n ? time / SECOND : -((-time + SECOND - 1n) / SECOND));

const stateOf = ({ hsm, archive }: Subject) => ({ states: hsm, archive });
