import type { BlobState } from '../../blob/state.ts';
import type { WriteCondition } from '../../blob/store.ts';
import { decideDestination } from '../../identity/destination.ts';
import type { Fid } from '../../identity/fid.ts';
import type { Generation } from '../../identity/generation.ts';
import type { Place, ReconcileContext } from './context.ts';
import { Occupied, ReconcileError } from './errors.ts';
import { mustNotBeImporting } from './imported.ts';
import { fateAt } from './look.ts';

/** What a marker is compared as: any version of the file's own content is later. */
const NO_GENERATION: Generation = { seq: 0, uuid: '' };

/**
 * The condition under which something of `fid` may be written to a name, by the decision that archives go by, too;
 * `there` when this version is there already. What is overwritten is in the audit log.
 * @throws Occupied when something of another living file is there; ReconcileError for everything else in the way
 */
export async function claimName(
  context: ReconcileContext,
  { archive, store }: Place,
  name: string,
  who: { readonly fid: Fid; readonly generation?: Generation | undefined },
): Promise<WriteCondition | BlobState> {
  const occupant = await store.head(name, { signal: context.signal });
  const newcomer = { fsUuid: context.fsUuid, fid: who.fid, generation: who.generation ?? NO_GENERATION };
  const decision = await decideDestination(occupant, newcomer, { stranger: 'fail', dead: 'overwrite' }, (fid) =>
    fateAt(context, fid, name, store.prefix),
  );
  if (decision.do === 'done') return occupant as BlobState;
  if (decision.do === 'commit') {
    if (occupant !== undefined) {
      const { identity } = occupant;
      await context.audit.record({
        ...{ action: 'overwrite', archive, blob: name, etag: occupant.etag, fs: identity?.fs, fid: identity?.fid },
        reason: `${decision.replaces}, in the place of ${who.fid}`,
      });
    }
    return decision.condition;
  }
  const other = occupant?.identity?.fid;
  const place = `${JSON.stringify(name)}: ${decision.reason}`;
  switch (decision.code) {
    case 'other-file':
    case 'marker':
      if (other !== undefined) throw new Occupied(other, name, archive);
      throw new ReconcileError('in-the-way', 'later', place);
    case 'stranger':
    case 'maybe-imported':
      await mustNotBeImporting(context, name);
      await letBoundPass(context, { archive, store }, name, who.fid);
      throw new ReconcileError('stranger', 'never', place);
    case 'blob-type':
      throw new ReconcileError('stranger', 'never', place);
    default:
      throw new ReconcileError('in-the-way', 'later', place);
  }
}

/**
 * What others wrote may be the copy of another living file that was bound to it, and has moved: that one is put right first.
 * @throws Occupied if so
 */
async function letBoundPass(
  context: ReconcileContext,
  { archive, store }: Place,
  name: string,
  fid: Fid,
): Promise<void> {
  for (const binding of await context.catalog.bindingsAt(archive, name)) {
    if (binding.fid === fid) continue;
    const fate = await fateAt(context, binding.fid, name, store.prefix);
    if (fate === 'elsewhere') throw new Occupied(binding.fid, name, archive);
  }
}
