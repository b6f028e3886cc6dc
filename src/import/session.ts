import type { Catalog } from '../catalog/catalog.ts';
import { type Checkpoint, IMPORT_CHECKPOINT } from '../catalog/types.ts';
import type { Place } from './places.ts';
import type { ImportCounts, ImportRequest } from './types.ts';

/** An import of the catalog's: begun, or taken up where it was stopped or killed. */
export interface ImportSession {
  readonly resumed: boolean;
  /** Seconds since 1970: what no listing has seen since then is gone. */
  readonly began: number;
  /** What the stopped one had left out: one that goes on is not complete for that it met nothing more. */
  readonly before: LeftOut;
  /** How it stands, with what has been left out by now. */
  readonly checkpoint: (now: LeftOut) => Checkpoint;
}

/** Blobs that were not imported. */
export type LeftOut = Readonly<Pick<ImportCounts, 'conflicts' | 'refused' | 'failed'>>;

interface Standing {
  readonly began: number;
  /** What was asked for; another request is another import. */
  readonly asked: string;
  readonly left?: LeftOut;
}

const NOTHING: LeftOut = { conflicts: 0, refused: 0, failed: 0 };

/**
 * Begins an import, or finds the one that was stopped: the same request, with ranges that are left.
 * @param restart from the beginning, whatever was stopped
 */
export async function openImport(
  catalog: Catalog,
  request: ImportRequest,
  places: readonly Place[],
  restart: boolean,
): Promise<ImportSession> {
  const asked = textOf(request, places);
  const state = (await catalog.checkpoint(IMPORT_CHECKPOINT))?.state as Standing | undefined;
  if (!restart && state?.asked === asked) return sessionOf(true, state);
  // Whole seconds, as the catalog keeps them: what is seen in this one counts as seen.
  const began = Math.floor(Date.now() / 1000);
  const standing: Standing = { began, asked };
  await catalog.apply({
    imports: { restart: true, ranges: places.map(({ start }) => ({ place: start, flat: false })) },
    checkpoints: [{ name: IMPORT_CHECKPOINT, state: standing }],
  });
  return sessionOf(false, standing);
}

function sessionOf(resumed: boolean, { began, asked, left: before = NOTHING }: Standing): ImportSession {
  const checkpoint = (now: LeftOut): Checkpoint => {
    const state: Standing = { began, asked, left: sumOf(before, now) };
    return { name: IMPORT_CHECKPOINT, state };
  };
  return { resumed, began, before, checkpoint };
}

/** All that was left out. */
export function sumOf(one: LeftOut, other: LeftOut): LeftOut {
  return {
    conflicts: one.conflicts + other.conflicts,
    refused: one.refused + other.refused,
    failed: one.failed + other.failed,
  };
}

/** Whether the same request was stopped, so that it would go on. */
export async function wouldResume(
  catalog: Pick<Catalog, 'checkpoint'>,
  request: ImportRequest,
  places: readonly Place[],
): Promise<boolean> {
  const state = (await catalog.checkpoint(IMPORT_CHECKPOINT))?.state as Standing | undefined;
  return state?.asked === textOf(request, places);
}

/** When the import began that is under way, or was stopped and is not at its end: seconds since 1970. */
export async function importBegan(catalog: Pick<Catalog, 'checkpoint'>): Promise<number | undefined> {
  return ((await catalog.checkpoint(IMPORT_CHECKPOINT))?.state as Standing | undefined)?.began;
}

/** It is over. */
export async function closeImport(catalog: Catalog): Promise<void> {
  await catalog.apply({ checkpointsGone: [IMPORT_CHECKPOINT] });
}

/** How many errors are allowed and the like may change on the way. */
function textOf(
  { archive, to, include, exclude, defaults, refresh, delete: remove }: ImportRequest,
  places: readonly Place[],
) {
  const starts = places.map(({ start }) => start);
  return JSON.stringify({ archive, starts, to: to.toString('latin1'), include, exclude, defaults, refresh, remove });
}
