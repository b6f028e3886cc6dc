import type { Tombstone } from '../catalog/types.ts';
import type { FileType } from '../lustre/attributes.ts';
import { printable } from '../lustre/printable.ts';
import type { ExitName } from '../service/exit-code.ts';
import { formatBytes } from '../service/units.ts';
import type { UndeleteCounts } from './run.ts';
import type { Undeleted, UndeleteOutcome } from './types.ts';

/** One thing in --json. Bytes of names that are not UTF-8 are escaped as on the terminal. */
export interface UndeletedJson {
  readonly fid: string;
  readonly type: FileType;
  readonly path: string | null;
  readonly outcome: UndeleteOutcome;
  readonly new_fid?: string;
  readonly size?: number;
  readonly detail?: string;
}

export interface RemovedJson {
  readonly fid: string;
  readonly type: FileType;
  readonly path: string | null;
  /** Bytes. */
  readonly size: number;
  /** ISO 8601. */
  readonly removed: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
}

export function undeletedJson({ fid, type, path, outcome, now, size, detail }: Undeleted): UndeletedJson {
  return {
    ...{ fid, type, path: path === undefined ? null : printable(path), outcome },
    ...(now === undefined ? {} : { new_fid: now }),
    ...(size === undefined ? {} : { size: Number(size) }),
    ...(detail === undefined ? {} : { detail }),
  };
}

export function removedJson({ fid, type, path, size, diedAt, mode, uid, gid }: Tombstone): RemovedJson {
  return {
    ...{ fid, type, path: path === undefined ? null : printable(path), size: Number(size) },
    removed: new Date(diedAt * 1000).toISOString(),
    ...{ mode: mode.toString(8).padStart(4, '0'), uid, gid },
  };
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
