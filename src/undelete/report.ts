import type { KeptBlob } from '../blob/kept.ts';
import type { Tombstone } from '../catalog/types.ts';
import type { FileType } from '../lustre/attributes.ts';
import { printable } from '../lustre/printable.ts';
import type { ExitName } from '../service/exit-code.ts';
import { formatBytes } from '../service/units.ts';
import type { UndeleteCounts } from './run.ts';
import type { Stray } from './search.ts';
import type { Undeleted, UndeleteOutcome } from './types.ts';

/** One thing in --json. Bytes of names that are not UTF-8 are escaped as on the terminal. */
export interface UndeletedJson {
  readonly fid: string;
  readonly type: FileType;
  readonly path: string | null;
  readonly outcome: UndeleteOutcome;
  readonly new_fid?: string;
  readonly size?: number;
  /** Its blob was deleted, and came back from this. */
  readonly kept?: KeptBlob['how'];
  /** Days for which the account still keeps it. */
  readonly days_left?: number;
  readonly detail?: string;
}

export interface RemovedJson {
  readonly fid: string;
  readonly type: FileType;
  readonly path: string | null;
  /** Bytes. */
  readonly size: number;
  /** ISO 8601; of what only the container knows of, when its blob was deleted, or null: the service does not say. */
  readonly removed: string | null;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** With --search, of what the catalog does not remember: what the container, or the account, has of it. */
  readonly kept?: 'blob' | KeptBlob['how'];
  /** Days for which the account still keeps it. */
  readonly days_left?: number;
}

export function undeletedJson({ fid, type, path, outcome, now, size, kept, detail }: Undeleted): UndeletedJson {
  return {
    ...{ fid, type, path: path === undefined ? null : printable(path), outcome },
    ...(now === undefined ? {} : { new_fid: now }),
    ...(size === undefined ? {} : { size: Number(size) }),
    ...(kept === undefined ? {} : { kept: kept.how }),
    ...(kept?.daysLeft === undefined ? {} : { days_left: kept.daysLeft }),
    ...(detail === undefined ? {} : { detail }),
  };
}

export function removedJson(
  { fid, type, path, size, diedAt, mode, uid, gid }: Tombstone,
  stray?: Pick<Stray, 'kept'>,
): RemovedJson {
  const isKnown = stray === undefined || stray.kept?.deletedAt !== undefined;
  return {
    ...{ fid, type, path: path === undefined ? null : printable(path), size: Number(size) },
    removed: isKnown ? new Date(diedAt * 1000).toISOString() : null,
    ...{ mode: mode.toString(8).padStart(4, '0'), uid, gid },
    ...(stray === undefined ? {} : { kept: stray.kept?.how ?? 'blob' }),
    ...(stray?.kept?.daysLeft === undefined ? {} : { days_left: stray.kept.daysLeft }),
  };
}

/** What is left of something that is listed, and for how long. */
export function keptWords({ kept, days_left: days }: RemovedJson): string {
  if (kept === undefined) return '-';
  return days === undefined ? kept : `${kept}, ${days} ${days === 1 ? 'day' : 'days'} left`;
}

/** A line about something that did not come back as it was. */
export function itemLine({ path, fid, outcome, detail }: Undeleted): string {
  const name = path === undefined ? fid : `${printable(path)} [${fid}]`;
  const what = { restored: 'is back', would: 'would come back', exists: 'left', gone: 'lost', failed: 'failed' }[
    outcome
  ];
  return `${name}: ${what}${detail === undefined ? '' : `: ${detail}`}`;
}

export function summaryLines(counts: UndeleteCounts): string[] {
  const { restored, would, exists, gone, failed, bytes } = counts;
  const lines = [];
  if (restored > 0) lines.push(`${restored} brought back (${formatBytes(bytes)} to be restored when they are read)`);
  if (would > 0) lines.push(`${would} would be brought back (${formatBytes(bytes)})`);
  if (exists > 0) lines.push(`${exists} left: something has their names`);
  if (gone > 0) lines.push(`${gone} lost: nothing of them is in the container any more`);
  if (failed > 0) lines.push(`${failed} failed`);
  return lines;
}

export function exitOf({ restored, would, exists, gone, failed }: UndeleteCounts): ExitName {
  if (exists + gone + failed === 0) return 'ok';
  return restored + would > 0 ? 'partial' : 'failed';
}
