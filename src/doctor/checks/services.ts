import type { Config } from '../../config/types.ts';
import { copytoolSocket } from '../../copytool/socket.ts';
import { followSocket } from '../../follow/service/socket.ts';
import { policyLock, policyRunSocket } from '../../policy/run/socket.ts';
import { scheduleOf } from '../../status/policies.ts';
import { serviceAt } from '../../status/services.ts';
import type { Service } from '../../status/types.ts';
import type { DoctorContext } from '../context.ts';
import { type Check, type Finding, failed, ok, warning } from '../types.ts';

const PATIENCE_MS = 5_000;
/** Timers and cron look every few minutes; so long after the last run, nobody does any more. */
const QUIET_MS = 3_600_000;

interface Resident {
  /** As operators know it. */
  readonly service: string;
  readonly command: string;
  readonly unit: string;
  readonly socket: (mount: string) => string;
}

const COPYTOOL: Resident = {
  ...{ service: 'copytool', command: 'lfsazsync copytool', unit: 'lfsazsync-copytool', socket: copytoolSocket },
};
const FOLLOWER: Resident = {
  ...{ service: 'follower', command: 'lfsazsync changelog-follow', unit: 'lfsazsync-follow', socket: followSocket },
};

export const serviceChecks: readonly Check<DoctorContext>[] = [
  { id: 'services.copytool', run: (context) => running(context, COPYTOOL) },
  { id: 'services.follower', run: (context) => running(context, FOLLOWER) },
  { id: 'services.policies', run: policies },
];

async function running({ config, version }: DoctorContext, resident: Resident): Promise<Finding> {
  const { service, command, unit } = resident;
  const found = await asked(config, resident);
  return found.state === 'not-running'
    ? warning(
        `the ${service} is not running on this machine`,
        `systemctl start ${unit} (or ${command}), unless another machine runs it: that can’t be seen from here.`,
      )
    : judged(found, `restart it (systemctl restart ${unit})`, version);
}

type Asked = Service<{ readonly process: { readonly version: string } }>;

const asked = ({ runDir, mount }: Config, { service, command, socket }: Omit<Resident, 'unit'>): Promise<Asked> =>
  serviceAt({ directory: runDir, name: socket(mount), service, start: command }, PATIENCE_MS);

/** @param own this program's version @param restart what brings the installed one into service */
function judged(found: Exclude<Asked, { state: 'not-running' }>, restart: string, own: string): Finding {
  if (found.state === 'unavailable') return failed(found.reason, found.hint ?? `See its log, and ${restart}.`);
  const { version } = found.figures.process;
  return version === own
    ? ok(`running, version ${version}`)
    : warning(
        `running, but version ${version}: this program is ${own}`,
        `What runs was started before this version was installed: ${restart}.`,
      );
}

/** Whoever looks at the triggers: a resident process, the timer, or cron, which only the last run tells of. */
async function policies(context: DoctorContext): Promise<Finding> {
  const { config, version } = context;
  const all = [...config.policies.values()];
  if (!all.some(({ enabled, triggers }) => enabled && triggers.some(({ on }) => on !== 'manual')))
    return ok('no policy runs by itself');
  const resident = { service: 'policy-run', command: 'lfsazsync policy-run --every 5m', socket: policyRunSocket };
  const found = await asked(config, resident);
  if (found.state !== 'not-running') return judged(found, 'restart the resident policy-run', version);
  if ((await scheduleOf(config, PATIENCE_MS))?.at !== undefined) return ok('the timer is active');
  const [last] = await context.withCatalog((catalog) => catalog.runs('policy', 1)).catch(() => []);
  if (last !== undefined) {
    const lock = { directory: config.stateDir, name: `${policyLock(last.name)}.sock` };
    const holder = await serviceAt({ ...lock, service: 'policy', start: resident.command }, PATIENCE_MS);
    if (holder.state === 'running') return ok(`a run of ${last.name} is at work`);
    const ended = last.ended ?? last.started;
    if (Date.now() - ended < QUIET_MS) return ok(`the last run, of ${last.name}, was ${new Date(ended).toISOString()}`);
  }
  return warning(
    last === undefined
      ? 'no policy has run yet, and none is about to'
      : `no policy has run since ${new Date(last.started).toISOString()} (${last.name}), and none is about to`,
    'systemctl enable --now lfsazsync-policy.timer, or call `lfsazsync policy-run` every few minutes; until then nothing is archived or released by policy. On one machine only.',
  );
}
