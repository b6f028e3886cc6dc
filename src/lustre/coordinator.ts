import { deviceOf, readParameters } from './parameters.ts';

/** A copytool as the coordinator has it. */
export interface RegisteredAgent {
  /** Of its client. */
  readonly uuid: string;
  /** The archive ids that it serves; `ANY`: all of them. */
  readonly archives: readonly number[] | 'ANY';
}

/** The HSM coordinator of a metadata target; null: the parameter is not to be seen. */
export interface CoordinatorState {
  readonly mdt: string;
  /** `enabled`, `disabled`, `stopped`, or what it is on its way to. */
  readonly control: string | null;
  /** So many actions are at work at most, of all copytools together. */
  readonly maxRequests: number | null;
  /** So many are. */
  readonly active: number | null;
  readonly agents: readonly RegisteredAgent[] | null;
}

const COUNTS = ['archive_count', 'restore_count', 'remove_count'];
const PARAMETERS = ['hsm_control', 'hsm.max_requests', 'hsm.agents', ...COUNTS.map((count) => `hsm.${count}`)];

/**
 * The coordinators of a file system, by MDT; none where this machine does not show them, as every client.
 * @param fsname undefined: of all file systems that this machine serves
 */
export async function readCoordinators(
  fsname: string | undefined,
  options: { readonly lctl?: string | undefined; readonly signal?: AbortSignal } = {},
): Promise<CoordinatorState[]> {
  const patterns = PARAMETERS.map((name) => `mdt.*.${name}`);
  const byMdt = new Map<string, Map<string, string>>();
  for (const parameter of await readParameters(patterns, options)) {
    const mdt = deviceOf(parameter);
    if (fsname !== undefined && !mdt.startsWith(`${fsname}-MDT`)) continue;
    const values = byMdt.get(mdt) ?? new Map<string, string>();
    values.set(parameter.name.slice(`mdt.${mdt}.`.length), parameter.value);
    byMdt.set(mdt, values);
  }
  return [...byMdt].sort(([a], [b]) => (a < b ? -1 : 1)).map(([mdt, values]) => stateOf(mdt, values));
}

function stateOf(mdt: string, values: ReadonlyMap<string, string>): CoordinatorState {
  const number = (name: string) => wholeOf(values.get(name));
  const counts = COUNTS.map((name) => number(`hsm.${name}`));
  const agents = values.get('hsm.agents');
  return {
    mdt,
    control: values.get('hsm_control') ?? null,
    maxRequests: number('hsm.max_requests'),
    active: counts.includes(null) ? null : counts.reduce<number>((sum, count) => sum + (count ?? 0), 0),
    agents: agents === undefined ? null : parseAgents(agents),
  };
}

const wholeOf = (value: string | undefined) => (value !== undefined && /^\d+$/.test(value) ? Number(value) : null);

/** `mdt.*.hsm.agents`: a line for each, `uuid=… archive_id=1,2 requests=[…]`, or `archive_id=ANY`. */
export function parseAgents(value: string): RegisteredAgent[] {
  return [...value.matchAll(/^uuid=(\S+) archive_id=(\S+)/gm)].map(([, uuid = '', ids = '']) => ({
    uuid,
    archives: ids === 'ANY' ? ids : ids.split(',').map(Number),
  }));
}

export const serves = ({ archives }: RegisteredAgent, archive: number): boolean =>
  archives === 'ANY' || archives.includes(archive);
