import { stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const TRIES = 100;
const PAUSE_MS = 50;

/**
 * Calls `work` while no other process of this machine does for the same name in the same directory. The kernel keeps the
 * turn, as an abstract Unix socket, and takes it back from a process that dies. Since any user may take such a name, it is
 * waited for five seconds, and no longer.
 */
export async function inTurn<T>(directory: string, name: string, work: () => Promise<T>): Promise<T> {
  const { dev, ino } = await stat(directory, { bigint: true });
  const turn = await takeTurn(`\0lfsazsync/${dev}/${ino}/${name}`);
  try {
    return await work();
  } finally {
    turn?.close();
  }
}

async function takeTurn(address: string): Promise<Server | undefined> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const server = createServer((socket) => socket.destroy());
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(address, () => resolve(true));
    });
    if (taken) return server;
    await delay(PAUSE_MS);
  }
  return undefined;
}
