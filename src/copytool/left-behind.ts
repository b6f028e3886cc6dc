import { readFile, rm } from 'node:fs/promises';
import { actionKey, actionOf, type HsmAction } from '../lustre/hsm-action.ts';
import type { Log } from '../service/log.ts';
import type { ActionJournal } from './context.ts';

/**
 * Puts into the journal what a helper that outlived its copytool has left in `file`: actions that Lustre had sent and
 * that the copytool had not taken up yet. Call it under the copytool's lock. A file that can't be read is told of and
 * stays; a line that is none (torn when the disk was full) is told of and left out.
 */
export async function takeLeft(file: string, journal: ActionJournal, log: Log): Promise<void> {
  try {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return '';
    });
    if (text === '') return;
    const known = new Set(journal.unfinished.map(({ action }) => actionKey(action)));
    let torn = 0;
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const action = actionFrom(line);
      if (action === undefined) {
        torn += 1;
        continue;
      }
      const key = actionKey(action);
      if (!known.has(key)) journal.taken(action);
      known.add(key);
    }
    if (torn > 0)
      log.warn('some of what the native helper left behind is damaged; those actions are left to the coordinator', {
        file,
        lines: torn,
      });
    await rm(file);
  } catch (error) {
    log.warn('actions that the native helper left behind could not be read', { file, err: error });
  }
}

const KINDS: readonly unknown[] = ['ARCHIVE', 'RESTORE', 'REMOVE'];

function actionFrom(line: string): HsmAction | undefined {
  try {
    const action = actionOf(JSON.parse(line) as Record<string, unknown>);
    return KINDS.includes(action.action) ? action : undefined;
  } catch {
    return undefined;
  }
}
