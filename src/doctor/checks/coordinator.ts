import { parseAgents, serves } from '../../lustre/coordinator.ts';
import { deviceOf, type Parameter, parseChangelogUsers, readParameters } from '../../lustre/parameters.ts';
import { ACTIVE_REQUEST_TIMEOUT, changelogMask, MAX_REQUESTS, TIMEOUT_NOTE } from '../administrator.ts';
import type { DoctorContext } from '../context.ts';
import { type Check, type Finding, failed, ok, unknown, warning } from '../types.ts';

type Subject = Finding & { readonly subject?: string };

/** How to have it looked at where a client can't: the same for all, and so said once. */
const ASK =
  'Give whoever runs the metadata servers what `lfsazsync doctor --administrator` prints: how to look, and what to set (with Azure Managed Lustre, as a support request). Until then: an `lfsazsync archive --wait FILE` that ends well shows that the coordinator is enabled and has an agent.';

/** Records that carry something to the container: without one of them, scans and sweeps are all that notices. */
const NEEDED_TYPES = [
  'CREAT',
  'MKDIR',
  'HLINK',
  'SLINK',
  'MKNOD',
  'UNLNK',
  'RMDIR',
  'RENME',
  'CLOSE',
  'TRUNC',
  'SATTR',
  'HSM',
];

/** What the metadata servers' parameters say, where this machine is one of them. */
export const coordinatorChecks: readonly Check<DoctorContext>[] = [
  parameter('coordinator.control', 'mdt.*.hsm_control', control),
  parameter('coordinator.max-requests', 'mdt.*.hsm.max_requests', maxRequests),
  parameter('coordinator.timeout', 'mdt.*.hsm.active_request_timeout', timeout),
  parameter('coordinator.loop', 'mdt.*.hsm.loop_period', (value) =>
    Number(value) <= 10
      ? ok(`${value} s`)
      : warning(
          `${value} s`,
          'On the MGS: lctl set_param -P mdt.*.hsm.loop_period=10. Reads of released files wait for the coordinator’s next round.',
        ),
  ),
  parameter('coordinator.policy', 'mdt.*.hsm.policy', (value) => ok(value)),
  parameter('coordinator.agents', 'mdt.*.hsm.agents', agents),
  parameter('changelog.mask', 'mdd.*.changelog_current_mask', mask),
  parameter('changelog.users', 'mdd.*.changelog_users', users),
];

function parameter(
  id: string,
  pattern: string,
  judge: (value: string, context: DoctorContext, device: string) => Finding,
): Check<DoctorContext> {
  return {
    id,
    run: async (context, signal): Promise<readonly Subject[]> => {
      const found = await readParameters(pattern, { lctl: context.config.lctl, signal });
      if (found.length === 0) return [unknown(`${pattern} can’t be read on a client`, ASK)];
      return found.map((one: Parameter) => ({ subject: deviceOf(one), ...judge(one.value, context, deviceOf(one)) }));
    },
  };
}

export function control(value: string): Finding {
  return value === 'enabled'
    ? ok(value)
    : failed(
        value,
        'On the MGS: lctl set_param -P mdt.*.hsm_control=enabled. Until then requests wait, or are refused.',
      );
}

export function maxRequests(value: string): Finding {
  return Number(value) >= MAX_REQUESTS
    ? ok(value)
    : warning(
        value,
        `On the MGS: lctl set_param -P mdt.*.hsm.max_requests=${MAX_REQUESTS}. So few actions at a time leave copytools without work.`,
      );
}

export function timeout(value: string): Finding {
  const seconds = Number(value);
  if (seconds < 60)
    return warning(
      `${value} s`,
      'On the MGS: lctl set_param -P mdt.*.hsm.active_request_timeout=300, or more. Actions are reported every few seconds, but a busy metadata server may be slower.',
    );
  return seconds > ACTIVE_REQUEST_TIMEOUT
    ? warning(`${value} s`, `On the MGS: lctl set_param -P mdt.*.hsm.active_request_timeout=3600. ${TIMEOUT_NOTE}`)
    : ok(`${value} s`);
}

function agents(value: string, { config }: DoctorContext): Finding {
  const registered = parseAgents(value);
  const ids = [...config.archives.keys()];
  const unserved = ids.filter((id) => !registered.some((agent) => serves(agent, id)));
  if (unserved.length === 0)
    return ok(ids.map((id) => `archive ${id}: ${registered.filter((agent) => serves(agent, id)).length}`).join(', '));
  return failed(
    `no agent for archive ${unserved.join(', ')}`,
    'Start a copytool: systemctl start lfsazsync-copytool. Until then requests and reads of released files wait.',
  );
}

function mask(value: string, { config }: DoctorContext): Finding {
  const { xattrs } = config.metadata;
  const types = new Set(value.split(/\s+/));
  const missing = [...NEEDED_TYPES, ...(xattrs ? ['XATTR'] : [])].filter((type) => !types.has(type));
  return missing.length === 0
    ? ok(value)
    : failed(
        `without ${missing.join(', ')}`,
        `On the MGS: lctl set_param -P mdd.*.changelog_mask='${changelogMask(xattrs)}'`,
      );
}

function users(value: string, { config }: DoctorContext, device: string): Finding {
  const configured = userOf(config.follow.changelogUser, device);
  const { current, users: known } = parseChangelogUsers(value);
  const seen = known.map(({ id }) => id).join(', ') || 'none';
  if (configured === undefined)
    return warning(
      `${seen} registered, none configured`,
      'Set `follow.changelog_user` to the one that was registered for lfsazsync.',
    );
  const user = known.find(({ id }) => id === configured || id.startsWith(`${configured}-`));
  if (user === undefined) {
    return failed(
      `${configured} is not registered (${seen})`,
      `lctl --device ${device} changelog_register, then set \`follow.changelog_user\`; everything is scanned once more.`,
    );
  }
  return ok(`${user.id} at ${user.index}${current === undefined ? '' : ` of ${current}`}`);
}

/** The user of an MDT, as `follow.changelog_user` says it: one for all, or `MDT=user` for each. */
export function userOf(users: string | readonly string[] | undefined, mdt: string): string | undefined {
  if (typeof users === 'string' && !users.includes('=')) return users;
  const pairs = typeof users === 'string' ? users.split(',') : (users ?? []);
  return pairs.find((pair) => pair.startsWith(`${mdt}=`))?.slice(mdt.length + 1);
}
