import { type Fid, parseFid } from './fid.ts';

/** On a file whose copy is being removed: whose removal it is, and that NORELEASE stands on the file for it. */
export const REMOVING_XATTR = 'trusted.lfsazsync_removing';

const VERSION = 1;
const MAX_LENGTH = 4_096;

export interface RemovalMark {
  /** `cp -a` carries the attribute to other files, where it means nothing. */
  readonly fid: Fid;
  /** The removal's, by which an adopted one finds its own mark. */
  readonly cookie: bigint;
  /** One per mark written, so that nobody takes off another's. */
  readonly id: string;
  /** The machine. */
  readonly who: string;
  /** Milliseconds since 1970, by that machine's clock. */
  readonly since: number;
  /** Whether NORELEASE was there before: then it is the user's, and stays. */
  readonly kept: boolean;
  /** Whether the removal has ended: only archives that were under way then have to be waited for. */
  readonly ended: boolean;
}

/** @returns undefined when it is not a mark of ours, or speaks of another file: the file then counts as not marked */
export function parseRemovalMark(value: Buffer, fid: Fid): RemovalMark | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { v, fid: of, cookie, id, who, since, kept, ended } = json as Record<string, unknown>;
  if (v !== VERSION || typeof of !== 'string' || parseFid(of) !== fid) return undefined;
  if (typeof cookie !== 'string' || !/^\d{1,20}$/.test(cookie) || typeof id !== 'string') return undefined;
  if (typeof who !== 'string' || typeof since !== 'number') return undefined;
  return { fid, cookie: BigInt(cookie), id, who, since, kept: kept === true, ended: ended === true };
}

export function formatRemovalMark({ cookie, ...mark }: RemovalMark): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, ...mark, cookie: String(cookie) }), 'utf8');
}
