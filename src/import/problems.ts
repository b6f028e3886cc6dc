import { ERRNO, errnoText } from '../lustre/errno.ts';
import { OperatorError } from '../service/errors.ts';
import type { ImportCounts, ImportProblem } from './types.ts';
import type { ImportWorld } from './world.ts';

const COUNTED = {
  refused: 'refused',
  conflict: 'conflicts',
  failed: 'failed',
  warning: 'warnings',
  removed: 'removed',
} as const satisfies Partial<Record<ImportProblem['outcome'], keyof ImportCounts>>;

/** Counts a problem and tells it. */
export function tell({ counts, tell: report }: Pick<ImportWorld, 'counts' | 'tell'>, problem: ImportProblem): void {
  if (problem.outcome !== 'overwritten') counts[COUNTED[problem.outcome]]++;
  report(problem);
}

/** @throws OperatorError with --on-conflict fail */
export function stopAtConflict({ request }: Pick<ImportWorld, 'request'>, blob: string, detail: string): void {
  if (request.onConflict !== 'fail') return;
  throw new OperatorError(`${JSON.stringify(blob)} can't be imported: ${detail}.`, {
    code: 'IMPORT_CONFLICT',
    hint: 'With --on-conflict skip the import passes it over and reports it. The same command goes on where this one stopped.',
  });
}

/** @throws OperatorError when more failed than is allowed */
export function stopAfter({ counts, request }: ImportWorld): void {
  const errors = counts.failed + counts.refused;
  if (request.maxErrors === undefined || errors <= request.maxErrors) return;
  throw new OperatorError(`${errors} blobs could not be imported: more than --max-errors allows.`, {
    code: 'IMPORT_ERRORS',
    hint: 'See the report for what is wrong with them. The same command goes on where this one stopped.',
  });
}

/** What fails for one fails for all. */
export function stopIfHopeless(errno: number): void {
  const { ENOSPC, EDQUOT, EROFS, ENODEV, ENOTCONN } = ERRNO;
  if (![ENOSPC, EDQUOT, EROFS, ENODEV, ENOTCONN, ESHUTDOWN].includes(errno)) return;
  throw new OperatorError(`Lustre makes no files: ${errnoText(errno)}.`, {
    code: 'IMPORT_LUSTRE',
    hint: 'When that is put right, the same command goes on where this one stopped.',
  });
}

const ESHUTDOWN = 108;
