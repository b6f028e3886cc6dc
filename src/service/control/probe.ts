import { connect } from 'node:net';
import { withAddress } from './socket-path.ts';

const PATIENCE_MS = 5_000;

/** Whether some process listens at the socket: a full queue, or a slow one, counts as one that does. */
export function isAnswering(directory: string, name: string): Promise<boolean> {
  return withAddress(
    directory,
    name,
    (address) =>
      new Promise((resolve) => {
        const socket = connect(address);
        const end = (answer: boolean) => {
          socket.destroy();
          resolve(answer);
        };
        socket.setTimeout(PATIENCE_MS, () => end(true));
        socket.once('connect', () => end(true));
        socket.once('error', ({ code }: NodeJS.ErrnoException) => end(code === 'EAGAIN' || code === 'EACCES'));
      }),
  );
}
