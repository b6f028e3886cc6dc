import type { Catalog } from '../../catalog/catalog.ts';
import type { Candidate, Selection } from '../../catalog/selection.ts';
import type { Needs } from '../../expression/walk.ts';
import type { Fid } from '../../identity/fid.ts';
import { mapAhead } from '../../request/pipeline.ts';
import { failureKind, restOf } from './backoff.ts';
import { type Chosen, type JudgeOptions, judgeFile } from './judge.ts';
import { type Looked, type LookOptions, lookAtFiles } from './look.ts';
import type { SkipReason } from './reasons.ts';

/** Files that are looked at in one go, and looks that are begun before their turn. */
const LOOK_AT_ONCE = 500;
const AHEAD = 2;
/** Files that are held until it is their turn by their true time of last use. */
const MOST_HELD = 100_000;

export interface CandidateOptions extends JudgeOptions {
  readonly catalog: Pick<Catalog, 'choose' | 'failures'>;
  readonly look: LookOptions;
  readonly needs: Needs;
  readonly selection: Selection;
  /** Each candidate, once. */
  readonly onMatched: (bytes: bigint) => void;
  readonly onSkip: (reason: SkipReason) => void;
  /** Files that this run has asked for already are passed over without a word. */
  readonly isTaken: (fid: Fid) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Files of the catalog that are to be asked for by what they are just now, in the policy's order. */
export async function* candidates(options: CandidateOptions): AsyncGenerator<Chosen[], void, undefined> {
  const { selection } = options;
  if (selection.scope === 'releasable' && selection.order === 'last_access' && selection.descending !== true)
    yield* inOrderOfUse(options);
  else for await (const { chosen } of judgedPages(options, () => false)) yield chosen;
}

interface JudgedPage {
  readonly chosen: Chosen[];
  /** The latest use that the catalog has on this page, where that is the order: what comes later is not below. */
  readonly upTo: number;
}

/**
 * Reads leave no record, so that the catalog's times of last use are at most too early. What is chosen is therefore held
 * until the catalog has nothing left that may have been used before it.
 */
async function* inOrderOfUse(options: CandidateOptions): AsyncGenerator<Chosen[], void, undefined> {
  let held: Chosen[] = [];
  const waiting = new Set<Fid>();
  /** Given just now; what was put back in the catalog's order for its last use may be met once more. */
  let given = new Set<Fid>();
  let bound = Number.NEGATIVE_INFINITY;
  const isMet = (fid: Fid) => waiting.has(fid) || given.has(fid);
  for await (const { chosen, upTo } of judgedPages(options, isMet)) {
    if (upTo > bound) given = new Set();
    bound = Math.max(bound, upTo);
    for (const one of chosen) waiting.add(one.file.fid);
    held = [...held, ...chosen].sort((a, b) => usedAt(a) - usedAt(b));
    for (const late of held.splice(MOST_HELD)) waiting.delete(late.file.fid);
    const ready = held.splice(0, countUpTo(held, bound));
    for (const { file } of ready) {
      waiting.delete(file.fid);
      given.add(file.fid);
    }
    if (ready.length > 0) yield ready;
  }
  if (held.length > 0) yield held;
}

const usedAt = ({ file }: Chosen): number => Math.max(file.fresh.entry.atime, file.fresh.entry.mtime);

function countUpTo(held: readonly Chosen[], bound: number): number {
  const first = held.findIndex((one) => usedAt(one) > bound);
  return first === -1 ? held.length : first;
}

async function* judgedPages(
  options: CandidateOptions,
  isMet: (fid: Fid) => boolean,
): AsyncGenerator<JudgedPage, void, undefined> {
  const { isTaken, signal, onMatched, onSkip } = options;
  const pages = piecesOf(options.catalog.choose(options.selection), signal);
  for await (const { page, looked, resting } of mapAhead(pages, AHEAD, (page) => lookedPage(options, page))) {
    const chosen: Chosen[] = [];
    for (const { fid, size } of page) {
      if (isTaken(fid) || isMet(fid)) continue;
      onMatched(size);
      const rest = resting.get(fid);
      const judgement = rest === undefined ? judgeFile(looked.get(fid), options) : { skip: rest };
      if ('chosen' in judgement) chosen.push(judgement.chosen);
      else onSkip(judgement.skip);
    }
    yield { chosen, upTo: page.reduce((most, { place }) => Math.max(most, place), 0) };
  }
}

interface LookedPage {
  readonly page: readonly Candidate[];
  readonly looked: ReadonlyMap<Fid, Looked>;
  /** Failed before, and left alone for now. */
  readonly resting: ReadonlyMap<Fid, SkipReason>;
}

/** Millions of files that can't be archived must not cost millions of looks in each run: what rests is not looked at. */
async function lookedPage(options: CandidateOptions, page: readonly Candidate[]): Promise<LookedPage> {
  const { catalog, look, needs, policy, now } = options;
  const kind = failureKind(policy.name);
  const resting = new Map<Fid, SkipReason>();
  for (const [fid, failures] of await catalog.failures(page.map(({ fid }) => fid))) {
    const rest = restOf(
      policy.backoff,
      failures.find((one) => one.kind === kind),
      now,
    );
    if (rest !== 'none') resting.set(fid, rest === 'backoff' ? 'BACKOFF' : 'QUARANTINED');
  }
  const fids = page.map(({ fid }) => fid).filter((fid) => !resting.has(fid));
  return { page, looked: await lookAtFiles(look, fids, needs), resting };
}

async function* piecesOf(
  pages: AsyncIterable<Candidate[]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Candidate[]> {
  for await (const page of pages) {
    for (let at = 0; at < page.length; at += LOOK_AT_ONCE) {
      signal?.throwIfAborted();
      yield page.slice(at, at + LOOK_AT_ONCE);
    }
  }
}
