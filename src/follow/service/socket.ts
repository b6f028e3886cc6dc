import { socketName } from '../../service/control/socket-path.ts';

/** The name of a follower's control socket, in `run_dir`. @param mount as configured; it is not looked at */
export function followSocket(mount: string): string {
  return socketName('changelog-follow', mount.replace(/\/+$/, ''));
}
