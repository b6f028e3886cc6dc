import type { Config } from '../config/types.ts';
import type { Log } from '../service/log.ts';
import { type AdministratorText, administratorText } from './administrator.ts';
import { containerChecks } from './checks/container.ts';
import { coordinatorChecks } from './checks/coordinator.ts';
import { followChecks } from './checks/follow.ts';
import { lustreChecks } from './checks/lustre.ts';
import { machineChecks } from './checks/machine.ts';
import { serviceChecks } from './checks/services.ts';
import { DoctorContext } from './context.ts';
import { runChecks } from './run-checks.ts';
import type { Check, CheckResult } from './types.ts';

export interface DoctorOptions {
  readonly config: Config;
  /** Of this program. */
  readonly version: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Only checks whose id is this, or begins with it and a dot; empty: all. */
  readonly only: readonly string[];
  readonly onResult?: (result: CheckResult) => void;
}

export interface Examined {
  readonly results: readonly CheckResult[];
  readonly administrator: AdministratorText;
}

/** In the order in which an operator would look: what later ones need comes first. */
export const CHECKS: readonly Check<DoctorContext>[] = [
  ...machineChecks,
  ...lustreChecks,
  ...containerChecks,
  ...followChecks,
  ...coordinatorChecks,
  ...serviceChecks,
];

/** Looks at everything that lfsazsync needs, and changes nothing. */
export async function examine(options: DoctorOptions): Promise<Examined> {
  const context = new DoctorContext(options);
  try {
    const results = await runChecks(chosen(options.only), context, options);
    const fsname = await context.fileSystem().then(
      (fs) => fs.fsname,
      () => undefined,
    );
    const mdts = await context.mdts().catch(() => []);
    return { results, administrator: administratorText(fsname, mdts, options.config.metadata.xattrs) };
  } finally {
    await context.close();
  }
}

/** The named ones; those that they need run along. */
function chosen(only: readonly string[]): readonly Check<DoctorContext>[] {
  if (only.length === 0) return CHECKS;
  const wanted = new Set<string>();
  const add = (id: string) => {
    if (wanted.has(id)) return;
    wanted.add(id);
    for (const need of CHECKS.find((check) => check.id === id)?.needs ?? []) add(need);
  };
  for (const { id } of CHECKS) if (only.some((name) => id === name || id.startsWith(`${name}.`))) add(id);
  return CHECKS.filter(({ id }) => wanted.has(id));
}
