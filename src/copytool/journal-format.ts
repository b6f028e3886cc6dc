import { crc32 } from 'node:zlib';
import { actionKey, actionOf, fieldsOfAction, type HsmAction } from '../lustre/hsm-action.ts';
import type { Unfinished } from './context.ts';

/**
 * The journal's lines: `<CRC-32 of the rest, 8 hex digits> <JSON>\n`. A line that was torn, by a crash or a full disk,
 * has no end or another checksum, and counts as not written. The first one says whose journal it is.
 */
export interface JournalOwner {
  /** Our UUID of the file system. */
  readonly fs: string;
  /** The mount point. */
  readonly mount: string;
}

const VERSION = 1;

export function ownerLine({ fs, mount }: JournalOwner): string {
  return line({ t: 'journal', v: VERSION, fs, mount });
}

export function takenLine({ action, adoptions }: Unfinished): string {
  return line({ t: 'taken', adoptions, ...fieldsOfAction(action) });
}

export function endedLine({ cookie, fid }: Pick<HsmAction, 'cookie' | 'fid'>): string {
  return line({ t: 'ended', cookie: cookie.toString(), fid });
}

/** What a journal says. */
export interface JournalContent {
  /** Undefined: there is no journal, or its beginning can't be read. */
  readonly owner: JournalOwner | undefined;
  /** By key: taken and not ended, in the order they were taken. */
  readonly open: Map<string, Unfinished>;
  /** Lines that were not written to their end. */
  readonly torn: number;
  /** Whole lines that are not of this version: another program's, or a later one's. */
  readonly foreign: number;
}

export function parseJournal(content: Buffer): JournalContent {
  const open = new Map<string, Unfinished>();
  let owner: JournalOwner | undefined;
  let torn = 0;
  let foreign = 0;
  for (const text of content.toString('utf8').split('\n')) {
    if (text === '') continue;
    const json = wholeLine(text);
    if (json === undefined) torn += 1;
    else if (!take(json)) foreign += 1;
    // Its lines may mean anything.
    if (foreign > 0 && owner === undefined) return { owner, open: new Map(), torn, foreign };
  }
  return { owner, open, torn, foreign };

  function take(json: string): boolean {
    try {
      const fields = JSON.parse(json) as Record<string, unknown>;
      if (fields['t'] === 'journal' && fields['v'] === VERSION)
        owner = { fs: String(fields['fs']), mount: String(fields['mount']) };
      else if (fields['t'] === 'taken') {
        const action = actionOf(fields);
        open.delete(actionKey(action));
        open.set(actionKey(action), { action, adoptions: Number(fields['adoptions'] ?? 0) });
      } else if (fields['t'] === 'ended') open.delete(`${String(fields['cookie'])}/${String(fields['fid'])}`);
      else return false;
      return true;
    } catch {
      return false;
    }
  }
}

function line(fields: Record<string, unknown>): string {
  const json = JSON.stringify(fields);
  return `${checksum(json)} ${json}\n`;
}

function wholeLine(text: string): string | undefined {
  const json = text.slice(9);
  return text[8] === ' ' && text.slice(0, 8) === checksum(json) ? json : undefined;
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}
