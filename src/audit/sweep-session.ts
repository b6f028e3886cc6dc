import type { Catalog } from '../catalog/catalog.ts';
import type { ListRange } from './parallel-listing.ts';
import { newSince } from './since.ts';
import { SweepTally, type TallyState } from './sweep-tally.ts';
import type { SweepPhase } from './sweep-types.ts';

const CHECKPOINT = 'sweep';
/** What was stopped longer ago is begun anew: what it had seen says little of now. */
const OLDEST_MS = 24 * 3_600_000;

/** How far a sweep is, as the catalog keeps it. */
export interface SweepPosition {
  readonly phase: SweepPhase;
  /** Archives that are listed to the end. */
  readonly listed: readonly number[];
  /** Of the archive that is being listed: what is left. */
  readonly ranges?: readonly ListRange[];
}

/** Of the last sweep, which may be over. */
interface Checkpoint {
  readonly since: number;
  readonly started: number;
  /** Which containers it is of. */
  readonly of: string;
  /** Not when it is over. */
  readonly position?: SweepPosition;
  readonly tally?: TallyState;
}

/** A sweep that begins, or goes on where it was stopped or killed. */
export interface SweepSession {
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Seconds since 1970: what was verified from then on is what this sweep has seen. Later than every other sweep's. */
  readonly since: number;
  readonly resumed: boolean;
  readonly position: SweepPosition;
  readonly tally: SweepTally;
  /** Keeps where it is, together with what was counted until there. */
  save(position: SweepPosition): Promise<void>;
  close(): Promise<void>;
}

/** @param of which containers, in any text; what was begun with others is not taken up */
export async function openSession(catalog: Catalog, of: string, restart: boolean): Promise<SweepSession> {
  const last = (await catalog.checkpoint(CHECKPOINT))?.state as Checkpoint | undefined;
  const now = Date.now();
  const pending = !restart && last?.of === of && Math.abs(now - last.started) < OLDEST_MS ? last.position : undefined;
  const fresh = { started: now, since: await newSince(catalog) };
  const { started, since } = pending === undefined || last === undefined ? fresh : last;
  const tally = new SweepTally(pending === undefined ? undefined : last?.tally);
  const put = (rest: Pick<Checkpoint, 'position' | 'tally'>) => {
    const state: Checkpoint = { since, started, of, ...rest };
    return catalog.apply({ checkpoints: [{ name: CHECKPOINT, state }] });
  };
  const position = pending ?? { phase: 'list' as const, listed: [] };
  const save = async (at: SweepPosition) => void (await put({ position: at, tally: tally.state() }));
  if (pending === undefined) await save(position);
  return {
    started,
    since,
    resumed: pending !== undefined,
    position,
    tally,
    save,
    close: async () => void (await put({})),
  };
}
