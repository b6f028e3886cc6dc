import { readFile, rm } from 'node:fs/promises';
import { actionKey, actionOf } from '../lustre/hsm-action.ts';
import type { Log } from '../service/log.ts';
import type { ActionJournal } from './context.ts';

/**
 * Puts into the journal what a helper that outlived its copytool has left in `file`: actions that Lustre had sent and
 * that the copytool had not taken up yet. Call it under the copytool's lock. A file that can't be read is told of.
 */
export async function takeLeft(file: string, journal: ActionJournal, log: Log): Promise<void> {
  try {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return '';
    });
    if (text === '') return;
    const known = new Set(journal.unfinished.map(({ action }) => actionKey(action)));
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const action = actionOf(JSON.parse(line) as Record<string, unknown>);
      if (!known.has(actionKey(action))) journal.taken(action);
    }
    await rm(file);
  } catch (error) {
    log.warn('actions that the native helper left behind could not be read', { file, err: error });
  }
}
