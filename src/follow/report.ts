import { EXIT, type ExitName } from '../service/exit-code.ts';
import type { FollowFigures } from './figures.ts';
import type { Left } from './service/once.ts';
import type { CaughtUp } from './service/start.ts';

/** What `changelog-follow --once --json` prints: documented in docs/follower.md. */
export interface FollowJson {
  readonly outcome: 'complete' | 'partial';
  readonly left: Left;
  readonly figures: FollowFigures;
  readonly exit: { readonly name: ExitName; readonly code: number };
}

/** `partial` when something could not be done; what only waits, or is kept for the grace period, is in order. */
export function exitOf({ failed, quarantined, kept, scan }: Left): ExitName {
  const scanned = scan === 'not-needed' || scan === 'complete';
  return failed + quarantined + kept === 0 && scanned ? 'ok' : 'partial';
}

export function toJson({ left, figures }: CaughtUp, exit: ExitName): FollowJson {
  const outcome = exitOf(left) === 'ok' ? 'complete' : 'partial';
  return { outcome, left, figures, exit: { name: exit, code: EXIT[exit].code } };
}

/** The summary for people. */
export function summaryLines({ left, figures }: CaughtUp): string[] {
  const { counters, mdts, tombstones, brake, scan } = figures;
  const { failed, quarantined, waiting, kept } = left;
  const lines = [
    `${counters.records} records of ${mdts.map(({ mdt }) => mdt).join(', ')}; ${counters.looked} files looked at, ${counters.changed} new or changed, ${counters.died} dead`,
    `${counters.reconciled} put right in the container, ${counters.buried} dead removed from it`,
  ];
  if (scan.last !== null) lines.push(`everything was scanned: ${scan.last.outcome}, ${scan.last.seconds} s`);
  if (left.scan === 'locked') lines.push('Everything is to be scanned, and another scan is at work.');
  if (tombstones.count > 0) lines.push(`${tombstones.count} dead are kept for now`);
  if (brake.engaged)
    lines.push(
      `Removals are stopped: ${brake.pending + brake.removed} of ${brake.of} would be too many (${brake.limit}).`,
    );
  if (waiting > 0) lines.push(`${waiting} wait for something else`);
  if (failed > 0) lines.push(`${failed} failed and are tried again`);
  if (quarantined > 0) lines.push(`${quarantined} are given up for now: \`lfsazsync journal list\``);
  if (kept > 0) lines.push(`${kept} dead could not be removed`);
  return lines;
}
