import type { Catalog } from '../catalog/catalog.ts';
import type { Stamp } from '../catalog/types.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import type { ScanTarget } from './types.ts';

const CHECKPOINT = 'scan';

/** A scan of the catalog's: begun, taken up again, or inside another one that was stopped. */
export interface ScanSession {
  /** What the catalog has seen after this stays. */
  readonly begun: Stamp;
  readonly resumed: boolean;
  /** Of a directory, while a scan of everything waits to go on: that one's checkpoint stays, and gains from this. */
  readonly inside: boolean;
}

interface Checkpoint {
  readonly begun: Stamp;
  readonly directory: Fid;
  /** It adopts what it meets: what had not done so is not gone on with by one that is to. */
  readonly adopts?: boolean;
}

/**
 * Begins a scan before anything is read, or finds the one that was stopped or killed.
 * @param restart from the beginning, whatever was stopped
 */
export async function openSession(
  catalog: Catalog,
  target: ScanTarget,
  restart: boolean,
  adopts = false,
): Promise<ScanSession> {
  const pending = await pendingScan(catalog);
  const marks = rootsOf(target).map((fid) => ({ fid, hints: 0, since: Math.floor(Date.now() / 1000) }));
  if (pending?.directory === target.directory && !restart && (pending.adopts === true || !adopts)) {
    return { begun: pending.begun, resumed: true, inside: false };
  }
  if (pending?.directory === ROOT_FID && target.directory !== ROOT_FID) {
    const begun = await catalog.now();
    await catalog.apply({ marks });
    return { begun, resumed: false, inside: true };
  }
  const begun = await catalog.beginScan();
  // Killed in between, the checkpoint is another scan's, or none: then the next one begins anew.
  const state: Checkpoint = { begun, directory: target.directory, adopts };
  await catalog.apply({ marks, met: [target.directory], checkpoints: [{ name: CHECKPOINT, state }] });
  return { begun, resumed: false, inside: false };
}

/** Forgets where the scan was: it is over. */
export async function closeSession(
  catalog: Catalog,
  session: ScanSession,
  outcome: 'complete' | 'partial',
): Promise<void> {
  if (session.inside) return;
  await catalog.endScan(session.begun, outcome);
  await catalog.apply({ checkpointsGone: [CHECKPOINT] });
}

/** The walk meets what is in the directory; itself and those above it are looked at by their FIDs. */
function rootsOf({ directory, above }: ScanTarget): Fid[] {
  return [...new Set([ROOT_FID, ...above, directory])];
}

async function pendingScan(catalog: Catalog): Promise<Checkpoint | undefined> {
  const begun = await catalog.scanning();
  const state = (await catalog.checkpoint(CHECKPOINT))?.state as Checkpoint | undefined;
  return begun !== undefined && state?.begun === begun ? state : undefined;
}
