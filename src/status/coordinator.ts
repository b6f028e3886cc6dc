import type { Config } from '../config/types.ts';
import { type CoordinatorState, readCoordinators, serves } from '../lustre/coordinator.ts';
import { OperatorError } from '../service/errors.ts';
import { type Part, partOf } from './part.ts';
import type { CoordinatorStatus } from './types.ts';

/** The coordinators and agents of a file system, or why they are not to be seen: on a client, never. */
export async function coordinatorOf(
  config: Pick<Config, 'lctl' | 'archives'>,
  fsname: string | undefined,
  patience: number,
): Promise<Part<CoordinatorStatus>> {
  return await partOf('lctl', patience, async (signal) => {
    const found = await readCoordinators(fsname, { lctl: config.lctl, signal });
    if (found.length === 0)
      throw new OperatorError('not to be seen from here, only on metadata servers', {
        code: 'NOT_SEEN',
        hint: '`lfsazsync doctor --administrator` prints how to have it checked.',
      });
    return { mdts: found.map(({ agents, ...state }) => state), agents: agentsOf(found, [...config.archives.keys()]) };
  });
}

/** Of the configured archives and of all others that somebody serves. A copytool must be registered with each MDT. */
function agentsOf(found: readonly CoordinatorState[], configured: readonly number[]): CoordinatorStatus['agents'] {
  const lists = found.flatMap(({ agents }) => (agents === null ? [] : [agents]));
  if (lists.length === 0) return null;
  const named = lists.flat().flatMap(({ archives }) => (archives === 'ANY' ? [] : archives));
  const archives = [...new Set([...configured, ...named])].sort((a, b) => a - b);
  return archives.map((archive) => {
    const counts = lists.map(
      (list) => new Set(list.filter((one) => serves(one, archive)).map(({ uuid }) => uuid)).size,
    );
    return { archive, count: Math.min(...counts) };
  });
}

type Mdt = CoordinatorStatus['mdts'][number];

const shown = (number: number | null) => (number === null ? 'unknown' : String(number));

export const COORDINATOR_HEADER = ['COORDINATOR', 'STATE', 'AT WORK', 'AT MOST'];
export const coordinatorCells = ({ mdts }: CoordinatorStatus): string[][] =>
  mdts.map(({ mdt, control, active, maxRequests }) => [mdt, control ?? 'unknown', shown(active), shown(maxRequests)]);

/** Of a line that has its state already. */
export const coordinatorText = ({ mdt, active, maxRequests }: Mdt): string =>
  `${shown(active)} of ${shown(maxRequests)} actions at work, ${mdt}`;

/** `archive 1: 2, archive 2: none`. */
export function agentsText({ agents }: CoordinatorStatus): string {
  if (agents === null) return 'unknown';
  return agents.map(({ archive, count }) => `archive ${archive}: ${count === 0 ? 'none' : count}`).join(', ');
}
