import { socketName } from '../service/control/socket-path.ts';

/**
 * The name of a copytool's control socket, in `run_dir`: one for each client, that is for each mount.
 * @param mount as configured. It is not looked at: the copytool must answer when the mount does not
 */
export function copytoolSocket(mount: string): string {
  return socketName('copytool', mount.replace(/\/+$/, ''));
}
