/** What the original deployment set, and what lfsazsync needs: for whoever administers the metadata servers. */

/**
 * Everything but what carries nothing to the container. MIGRT does, which the original deployment left out: what moves to another
 * MDT, a symlink by a simple rename too, gets another FID, and no record but this says so (mdd_rename and mdd_migrate_object of Lustre's mdd_dir.c).
 * @param xattrs whether extended attributes are carried (`metadata.xattrs`)
 */
export const changelogMask = (xattrs: boolean): string =>
  `all-ATIME-FLRW-GXATR-MARK-NOPEN-OPEN-RESYNC-${xattrs ? '' : 'XATTR-'}LYOUT`;

export const MAX_REQUESTS = 384;
export const ACTIVE_REQUEST_TIMEOUT = 432_000;

export interface AdministratorText {
  /** Shell commands, to be run on the MGS (`set_param -P` works nowhere else) and on the metadata servers. */
  readonly commands: readonly string[];
  /** The same as a request to the operators of a managed file system. */
  readonly request: string;
}

/**
 * What brings the metadata servers into the state that lfsazsync needs.
 * @param mdts as far as they are known
 */
export function administratorText(
  fsname: string | undefined,
  mdts: readonly string[],
  xattrs: boolean,
): AdministratorText {
  const named = mdts.length > 0 ? mdts : [`${fsname ?? 'FSNAME'}-MDT0000`];
  const commands = [
    '# how it is now: on each metadata server',
    'lctl get_param mdt.*.hsm_control mdt.*.hsm.max_requests mdt.*.hsm.active_request_timeout mdt.*.hsm.loop_period mdt.*.hsm.policy mdt.*.hsm.agents',
    'lctl get_param mdd.*.changelog_current_mask mdd.*.changelog_users',
    '# the HSM coordinator, on the MGS: -P sets it on all metadata servers, and again after each restart',
    'lctl set_param -P mdt.*.hsm_control=enabled',
    `lctl set_param -P mdt.*.hsm.max_requests=${MAX_REQUESTS}`,
    `lctl set_param -P mdt.*.hsm.active_request_timeout=${ACTIVE_REQUEST_TIMEOUT}`,
    '# where the parameter exists: how many lists of actions the coordinator builds at a time',
    'lctl set_param -P mdt.*.hsm.max_hal_count=3 || true',
    '# what the changelog records: on the MGS',
    `lctl set_param -P mdd.*.changelog_mask='${changelogMask(xattrs)}'`,
    '# one changelog user for lfsazsync on each MDT: on the metadata server that has it. It prints the name (cl1, cl2, ...) for follow.changelog_user',
    ...named.map((mdt) => `lctl --device ${mdt} changelog_register`),
  ];
  return { commands, request: requestText(fsname, commands) };
}

/** Why a shorter timeout may be better: said wherever the original value is. */
export const TIMEOUT_NOTE =
  `${ACTIVE_REQUEST_TIMEOUT} seconds (5 days) is what the original deployment set, for a copytool that reported no progress. ` +
  'lfsazsync reports every action at least every 10 seconds, and adopts what a killed copytool left behind: with 300 to 3600 seconds, readers that wait for a machine that never comes back are freed sooner.';

function requestText(fsname: string | undefined, commands: readonly string[]): string {
  return [
    `Please run the following commands for the Lustre file system${fsname === undefined ? '' : ` ${fsname}`}: those with "set_param -P" on its MGS, the others on its metadata servers.`,
    'They show how the HSM coordinator and the changelog are set up, enable the coordinator, set its limits and the mask of the changelog, and register one changelog user for each MDT.',
    'Please answer with what the first two print, and with the names of the changelog users that changelog_register prints (cl1, cl2, ...).',
    '',
    ...commands.filter((line) => !line.startsWith('#')),
  ].join('\n');
}
