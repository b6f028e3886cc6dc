import type { Config } from '../../config/types.ts';
import { listMdts } from '../../lustre/lfs.ts';
import { OperatorError } from '../../service/errors.ts';

/** An MDT whose changelog is followed, and the user under which its records are cleared. */
export interface FollowedMdt {
  readonly mdt: string;
  readonly user: string;
}

/**
 * The MDTs to follow, configured or as the client knows them, each with its changelog user.
 * @throws OperatorError NO_CHANGELOG_USER: a client can't register one, so it says how that is done
 */
export async function followedMdts(
  config: Pick<Config, 'mdts' | 'follow' | 'lfs'>,
  mount: string,
): Promise<FollowedMdt[]> {
  const mdts = config.mdts ?? (await listMdts(mount, config.lfs));
  const users = config.follow.changelogUser;
  return mdts.map((mdt) => {
    const user = typeof users === 'string' ? users : users?.find((pair) => pair.startsWith(`${mdt}=`));
    if (user === undefined) throw noUser(mdt);
    return { mdt, user: user.slice(user.indexOf('=') + 1) };
  });
}

function noUser(mdt: string): OperatorError {
  return new OperatorError(`No changelog user is configured for ${mdt}.`, {
    code: 'NO_CHANGELOG_USER',
    exit: 'usage',
    hint: `${howToRegister(mdt)} Then set \`follow.changelog_user\`.`,
  });
}

/** A client can't do it. */
export function howToRegister(mdt: string): string {
  return (
    `On the metadata server, \`lctl --device ${mdt} changelog_register\` makes a user and prints its name (cl1, cl2, …); ` +
    'with Azure Managed Lustre, ask for one in a support request. It must be for lfsazsync alone.'
  );
}
