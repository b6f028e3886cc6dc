import { type Fid, parseFid } from '../identity/fid.ts';
import { BugError } from '../service/errors.ts';

/** An action of the coordinator's, as it is journaled, too. */
export interface HsmAction {
  readonly action: 'ARCHIVE' | 'RESTORE' | 'REMOVE' | 'CANCEL';
  readonly fid: Fid;
  /** The coordinator's data FID; the file's own until a restore has begun. */
  readonly dfid: Fid;
  /** 64 bits; the coordinator's name for the action. */
  readonly cookie: bigint;
  readonly archive: number;
  readonly flags: number;
  readonly offset: bigint;
  /** Bytes; 2^64 - 1: to the end of the file. */
  readonly length: bigint;
  readonly gid: bigint;
  /** The request's opaque data (`lfs hsm_archive --data`). */
  readonly data: Buffer;
}

/** Which action: cookies are unique on one metadata server; where there are several, the FID must be said as well. */
export type ActionName = bigint | Pick<HsmAction, 'cookie' | 'fid'>;

/** An action's name as a key of maps: unique whatever number of metadata servers there is. */
export function actionKey(action: Pick<HsmAction, 'cookie' | 'fid'>): string {
  return `${action.cookie}/${action.fid}`;
}

/** An action from the fields of the helper's protocol. */
export function actionOf(fields: Readonly<Record<string, unknown>>): HsmAction {
  const text = (name: string) => String(fields[name] ?? '0');
  return {
    action: fields['action'] as HsmAction['action'],
    fid: fidOf(text('fid')),
    dfid: fidOf(text('dfid')),
    cookie: BigInt(text('cookie')),
    archive: Number(fields['archive'] ?? 0),
    flags: Number(fields['flags'] ?? 0),
    offset: BigInt(text('offset')),
    length: BigInt(text('length')),
    gid: BigInt(text('gid')),
    data: Buffer.from(String(fields['data_b64'] ?? ''), 'base64'),
  };
}

/** An action in the fields of the helper's protocol. */
export function fieldsOfAction(action: HsmAction): Record<string, unknown> {
  const { action: name, fid, dfid, archive, flags } = action;
  return {
    action: name,
    fid,
    dfid,
    cookie: action.cookie.toString(),
    archive,
    flags,
    offset: action.offset.toString(),
    length: action.length.toString(),
    gid: action.gid.toString(),
    data_b64: action.data.toString('base64'),
  };
}

export function fidOf(text: string): Fid {
  const fid = parseFid(text);
  if (fid === undefined) throw new BugError(`the helper sent a FID that is not one: ${text}`);
  return fid;
}
