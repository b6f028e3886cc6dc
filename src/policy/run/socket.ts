import { socketName } from '../../service/control/socket-path.ts';

/** The name of a resident `policy-run`'s control socket, in `run_dir`: one for each mount. @param mount as configured */
export const policyRunSocket = (mount: string): string => socketName('policy-run', mount.replace(/\/+$/, ''));

/** The name of the lock of a policy's runs, in `state_dir`; the socket is called so, too. */
export const policyLock = (policy: string): string => `policy-${policy}`;
