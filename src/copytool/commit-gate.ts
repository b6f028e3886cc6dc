import { metadataOf } from '../blob/metadata.ts';
import type { BlobState } from '../blob/state.ts';
import type { CommitDecision } from '../blob/upload.ts';
import { encodeXattrs } from '../blob/xattrs.ts';
import type { NamedPath } from '../copies/names.ts';
import { type ConflictSettings, type Decision, decideDestination, type Newcomer } from '../identity/destination.ts';
import { formatGeneration, type Generation } from '../identity/generation.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ActionError } from './action-error.ts';
import type { Archive, CopytoolContext } from './context.ts';
import { fateAt } from './fate.ts';
import type { FileView } from './file-view.ts';
import type { Task } from './task.ts';

/** What would be replaced has a sequence that this upload's is not above: it is to be numbered anew. */
export class HigherSequence extends Error {
  readonly generation: Generation;

  constructor(generation: Generation) {
    super(`the blob at the destination has the sequence ${generation.seq}`);
    this.name = 'HigherSequence';
    this.generation = generation;
  }
}

export interface GateOptions {
  readonly task: Task;
  readonly target: Archive;
  readonly context: CopytoolContext;
  readonly file: FileView;
  readonly dataVersion: bigint;
  readonly link: NamedPath;
  readonly generation: Generation;
  /** Whether the generation is above what was at the destination before the upload: looked at, or told by the last try. */
  readonly numbered: boolean;
}

/**
 * What stands between an upload and its commit, in the order of design/02, step 4: the destination's state and ETag,
 * then the file's data version, then whether the action is still ours. The order is what makes it safe: whoever commits
 * after the state was read makes our commit fail, and whoever changed the file before is seen by the data version.
 */
export class CommitGate {
  readonly #it: GateOptions;

  constructor(options: GateOptions) {
    this.#it = options;
  }

  /** Spares an upload that could not be committed anyway. */
  async refuseEarly(there: BlobState): Promise<void> {
    const decision = await this.#decide(there);
    if (decision.do === 'refuse') throw this.#refusal(decision);
  }

  /** The condition and metadata to commit with. Rejects when it must not be committed. @param bytes how many were read */
  async pass(bytes: bigint): Promise<CommitDecision> {
    const { task, target, context, file, dataVersion, link, generation, numbered } = this.#it;
    await context.step('archive.uploaded');
    const there = await target.store.head(link.name, { signal: task.signal });
    const decision = await this.#decide(there);
    await context.step('archive.destination-read');
    const replaced = there?.identity?.fs === context.fsUuid ? there.identity.generation : undefined;
    // Not another writer's, but older than this upload, as far as anybody knows: the record alone may be far behind.
    if (decision.do === 'refuse' && decision.code === 'newer-version' && !numbered && replaced !== undefined)
      throw new HigherSequence(replaced);
    if (decision.do === 'refuse') throw this.#refusal(decision);
    if (decision.do === 'commit' && replaced !== undefined && replaced.seq >= generation.seq)
      throw new HigherSequence(replaced);
    const { stat } = await this.#unchanged(bytes, file, dataVersion);
    await context.step('archive.verified');
    const metadata = metadataOf({
      attributes: stat,
      identity: { fs: context.fsUuid, fid: file.fid, kind: 'file', generation, size: bytes },
    });
    const leftOut = stat.userXattrs === undefined ? 0 : encodeXattrs(stat.userXattrs).leftOut;
    if (leftOut > 0) context.stats.xattrsLeftOut += leftOut;
    if (leftOut > 0) context.log.warn('extended attributes do not fit into metadata', { fid: file.fid, leftOut });
    await this.#audit(decision, there);
    // Last of all: whether the coordinator still knows this action as ours. A cancelled one is never committed.
    await task.report();
    if (decision.do === 'done') return { condition: { ifMatch: decision.etag }, metadata };
    return { condition: decision.condition, metadata };
  }

  /** The commit was done: what was remembered of the name is out of date. */
  committed(): void {
    this.#it.target.markers.forget(this.#it.link.name);
  }

  async #unchanged(bytes: bigint, file: FileView, dataVersion: bigint): Promise<{ stat: FileView['stat'] }> {
    const { files } = this.#it.context.fs;
    if (bytes !== file.size) throw changed(`${bytes} bytes were read of ${file.size}`);
    const now = await files.get({ fid: file.fid }, { parts: ['stat', 'dv'], flush: true });
    if (now.stat === undefined || now.dataVersion === undefined) {
      const errno = now.errors.get('dv') ?? now.errors.get('stat') ?? ERRNO.EIO;
      throw new ActionError('unreadable', errno, 'Lustre did not tell whether the file has changed');
    }
    if (now.dataVersion !== dataVersion) throw changed('it was written to while it was read');
    if (now.stat.size !== bytes) throw changed(`it has ${now.stat.size} bytes now, ${bytes} were read`);
    return { stat: now.stat };
  }

  #decide(there: BlobState | undefined): Promise<Decision> {
    const { target, context, file, generation, link } = this.#it;
    const newcomer: Newcomer = { fsUuid: context.fsUuid, fid: file.fid, record: file.record, generation };
    const settings: ConflictSettings = {
      stranger: target.config.onConflict,
      dead: 'overwrite',
      isUnbound: () => context.isUnbound(target.config.id, link.name),
      isLeftBehind: async () => there !== undefined && (await context.isLeftBehind(target.config.id, there)),
    };
    return decideDestination(there, newcomer, settings, (fid) =>
      fateAt(context.fs, context.fsUuid, fid, link.name, target.store.prefix),
    );
  }

  #refusal(decision: Extract<Decision, { do: 'refuse' }>): ActionError {
    const { context, file, target, link } = this.#it;
    if (decision.code === 'other-file' || decision.code === 'marker') {
      context.needsLook({ fid: file.fid, archive: target.config.id, reason: 'in-the-way', blob: link.name });
    }
    const errno = decision.again ? ERRNO.EAGAIN : ERRNO.EEXIST;
    return new ActionError(decision.code, errno, `${JSON.stringify(link.name)}: ${decision.reason}`);
  }

  /** Written down before it is done: what is overwritten can't be asked afterwards. */
  async #audit(decision: Decision, there: BlobState | undefined): Promise<void> {
    if (decision.do !== 'commit' || there === undefined) return;
    const { context, target, link, file, generation } = this.#it;
    const { identity } = there;
    await context.audit.record({
      action: 'overwrite',
      archive: target.config.id,
      blob: link.name,
      etag: there.etag,
      fs: identity?.fs,
      fid: identity?.fid,
      generation: identity?.generation === undefined ? undefined : formatGeneration(identity.generation),
      reason: `${decision.replaces}, replaced by generation ${formatGeneration(generation)} of ${file.fid}`,
    });
  }
}

function changed(how: string): ActionError {
  return new ActionError('changed', ERRNO.EBUSY, `the file changed during its archive: ${how}; nothing was committed`);
}
