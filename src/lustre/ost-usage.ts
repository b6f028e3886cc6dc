import { OperatorError } from '../service/errors.ts';
import { run } from '../service/run.ts';

/** How full an OST is. Bytes. */
export interface OstUsage {
  readonly index: number;
  /** Such as `lustrefs-OST0000`. */
  readonly name: string;
  readonly used: number;
  /** What others than root may still write. */
  readonly available: number;
}

/** An OST that gives no figures is asked for so long, milliseconds. */
const TIMEOUT = 60_000;
const LINE = /^(\S+)-(OST([0-9a-fA-F]{4,8}))_UUID\s+(\d+)\s+(\d+)\s+(\d+)\s+\S+\s/;

/** Percent in use, as `lfs df` and Robinhood count it: of what is used and what may still be written. */
export function percentUsed({ used, available }: Pick<OstUsage, 'used' | 'available'>): number {
  return used + available === 0 ? 0 : (100 * used) / (used + available);
}

/** The OSTs in what `lfs df` prints; those that are not connected have no figures, and are left out. */
export function parseOstUsage(text: string): OstUsage[] {
  return text.split('\n').flatMap((line): OstUsage[] => {
    const match = LINE.exec(line);
    if (match === null) return [];
    const [, fsname, ost, index = '', , used, available] = match;
    const bytes = (kilobytes: string | undefined) => Number(kilobytes) * 1024;
    return [
      {
        index: Number.parseInt(index, 16),
        name: `${fsname}-${ost}`,
        used: bytes(used),
        available: bytes(available),
      },
    ];
  });
}

/** Asks `lfs df` for the use of all OSTs. @throws OperatorError OST_USAGE when it says nothing of any */
export async function readOstUsage(mount: string, lfs = 'lfs', signal?: AbortSignal): Promise<OstUsage[]> {
  const { stdout, stderr, code } = await run(lfs, ['df', mount], { timeout: TIMEOUT, signal });
  const usage = parseOstUsage(stdout.toString('latin1'));
  // One OST that is away makes `lfs df` end with an error, and says nothing about the others.
  if (usage.length > 0) return usage;
  throw new OperatorError(
    `\`${lfs} df ${mount}\` names no OST (it ended with ${code}): ${stderr.trim().slice(0, 200)}`,
    {
      code: 'OST_USAGE',
      hint: 'Is the file system mounted, and are its servers up? `lfs df` by hand shows what it says.',
      exit: 'tryAgain',
    },
  );
}
