import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import type { BlobGateway, Interference } from '../../support/blob-gateway.ts';
import { CLEAN, RELEASED, type Rig, read } from './fixture.ts';

/** A request of an action, as the gateway names it. */
export interface Operation {
  readonly name: string;
  readonly verb: 'archive' | 'restore' | 'remove';
  readonly request: string;
  /** Bytes of the file. */
  readonly size: number;
}

const SMALL = 5_000;
/** Several blocks of 64 KiB, and the sizes at which a destination is looked at early. */
const LARGE = 1_200_000;

export const OPERATIONS: readonly Operation[] = [
  { name: 'look at the destination', verb: 'archive', request: 'Get Blob Properties', size: SMALL },
  { name: 'put', verb: 'archive', request: 'Put Blob', size: SMALL },
  { name: 'put a block', verb: 'archive', request: 'Put Block', size: LARGE },
  { name: 'commit', verb: 'archive', request: 'Put Block List', size: LARGE },
  { name: 'look for the copy', verb: 'restore', request: 'Get Blob Properties', size: SMALL },
  { name: 'read', verb: 'restore', request: 'Get Blob', size: SMALL },
  { name: 'read a range', verb: 'restore', request: 'Get Blob', size: LARGE },
  { name: 'look at the copy to remove', verb: 'remove', request: 'Get Blob Properties', size: SMALL },
  { name: 'delete', verb: 'remove', request: 'Delete Blob', size: SMALL },
];

/** What the endpoint does, how often in a row, and how an action must end: `ok`, or the errno that Lustre is told. */
export interface Mood {
  readonly name: string;
  readonly does: Interference;
  readonly times: number;
  /** The requests that it can happen to; all without it. */
  readonly only?: readonly string[];
  readonly ends: string | ((operation: Operation) => string);
}

const ALWAYS = Number.POSITIVE_INFINITY;
const answer = (status: number, code?: string, more: { headers?: Record<string, string>; body?: string } = {}) => ({
  answer: { status, ...(code === undefined ? {} : { code }), ...more },
});
const COMMITS = ['Put Blob', 'Put Block List'];
const WRITES = ['Put Blob', 'Put Block', 'Put Block List', 'Delete Blob'];

export const MOODS: readonly Mood[] = [
  { name: 'connection cut', does: 'cut', times: 4, ends: 'ok' },
  { name: 'answer lost', does: 'lose-answer', times: 1, ends: 'ok' },
  { name: 'answers lost, then cut', does: 'lose-answer', times: 3, ends: 'ok' },
  { name: 'connection stalled', does: 'stall', times: 1, ends: 'ok' },
  { name: '500', does: answer(500, 'InternalError'), times: 4, ends: 'ok' },
  {
    name: '503 with Retry-After',
    does: answer(503, 'ServerBusy', { headers: { 'retry-after': '1' } }),
    times: 2,
    ends: 'ok',
  },
  { name: '429', does: answer(429, 'TooManyRequests'), times: 2, ends: 'ok' },
  { name: '503 of a device', does: answer(503, undefined, { body: '<html>' }), times: 2, ends: 'ok' },
  { name: 'a page with 200', does: answer(200, undefined, { body: '<html>Sign in' }), times: 2, ends: 'ok' },
  {
    name: '403 signature',
    does: answer(403, 'AuthenticationFailed', { body: 'Signature did not match' }),
    times: 2,
    ends: 'ok',
  },
  { name: '403 permission', does: answer(403, 'AuthorizationPermissionMismatch'), times: ALWAYS, ends: 'EACCES' },
  { name: 'container gone', does: answer(404, 'ContainerNotFound'), times: ALWAYS, ends: 'ENXIO' },
  { name: '501', does: answer(501, 'APINotImplemented'), times: ALWAYS, ends: 'EINVAL' },
  {
    name: 'bytes changed on the way there',
    does: { corrupt: 'request' },
    times: 2,
    only: ['Put Blob', 'Put Block', 'Put Block List'],
    ends: 'ok',
  },
  {
    name: 'bytes always changed on the way there',
    does: { corrupt: 'request' },
    times: ALWAYS,
    only: ['Put Blob', 'Put Block', 'Put Block List'],
    ends: 'EIO',
  },
  { name: 'bytes changed on the way back', does: { corrupt: 'answer' }, times: 1, only: ['Get Blob'], ends: 'ok' },
  {
    name: 'bytes always changed on the way back',
    does: { corrupt: 'answer' },
    times: ALWAYS,
    only: ['Get Blob'],
    ends: 'EIO',
  },
  { name: 'body truncated', does: { truncate: 1_000 }, times: 2, only: ['Get Blob'], ends: 'ok' },
  { name: 'body stalled', does: { stallAfter: 1_000 }, times: 1, only: ['Get Blob'], ends: 'ok' },
  {
    name: '412 once',
    does: answer(412, 'ConditionNotMet'),
    times: 1,
    only: WRITES.filter((name) => name !== 'Put Block'),
    ends: 'ok',
  },
  { name: '409 exists once', does: answer(409, 'BlobAlreadyExists'), times: 1, only: COMMITS, ends: 'ok' },
  { name: '412 always', does: answer(412, 'ConditionNotMet'), times: ALWAYS, only: COMMITS, ends: 'EAGAIN' },
  { name: 'blocks gone once', does: answer(400, 'InvalidBlockList'), times: 1, only: ['Put Block List'], ends: 'ok' },
  { name: 'leased', does: answer(412, 'LeaseIdMissing'), times: ALWAYS, only: WRITES, ends: 'EBUSY' },
  { name: 'immutable', does: answer(409, 'BlobImmutableDueToPolicy'), times: ALWAYS, only: WRITES, ends: 'EPERM' },
  { name: 'snapshots', does: answer(409, 'SnapshotsPresent'), times: ALWAYS, only: ['Delete Blob'], ends: 'EBUSY' },
  { name: 'not there once', does: answer(404, 'BlobNotFound'), times: 1, only: ['Get Blob'], ends: 'ok' },
  { name: 'archived', does: answer(409, 'BlobArchived'), times: ALWAYS, only: ['Get Blob'], ends: 'ENODATA' },
];

export interface Case {
  readonly operation: Operation;
  readonly mood: Mood;
}

/** Every mood at every operation that it can happen to. */
export const CASES: readonly Case[] = MOODS.flatMap((mood) =>
  OPERATIONS.filter(({ request }) => mood.only?.includes(request) ?? true).map((operation) => ({ operation, mood })),
);

export const nameOf = ({ operation, mood }: Case): string => `${mood.name}: ${operation.verb}, ${operation.name}`;

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/**
 * Runs an action while the endpoint is in a mood, and afterwards once more without it. Checks how it ended, and by an
 * independent reading of the container and the file: no wrong bytes, no lost and no torn copy, no stray blob.
 */
export async function runCase(rig: Rig, gateway: BlobGateway, { operation, mood }: Case): Promise<void> {
  const { verb, request, size } = operation;
  const name = `mood-${randomBytes(6).toString('hex')}`;
  const path = rig.write(name, randomBytes(size));
  let old: Buffer | undefined;
  if (verb === 'archive') {
    // Half of the archives replace an earlier version.
    if (size === LARGE) {
      old = readFileSync(path);
      await rig.archive(path);
      writeFileSync(path, randomBytes(size));
    }
  } else if (verb === 'restore') await rig.archiveAndRelease(path);
  else await rig.archive(path);
  const content = verb === 'restore' ? await rig.blob(path).downloadToBuffer() : readFileSync(path);

  let left = mood.times;
  let happened = 0;
  gateway.interfere = (asked) => {
    if (!asked.url.includes(name) || asked.operation !== request || left <= 0) return undefined;
    left -= 1;
    happened += 1;
    return mood.does;
  };
  const fid = await rig.fid(path);
  const after = rig.copytool.lines.length;
  const asked = verb === 'restore' ? read(path) : rig.lfs(`hsm_${verb}`, path);
  const { record } = await rig.ended(verb, fid, after);
  await asked;
  gateway.interfere = () => undefined;
  expect(happened).toBeGreaterThan(0);

  const expected = typeof mood.ends === 'function' ? mood.ends(operation) : mood.ends;
  const ended = record?.['outcome'] === 'ok' ? 'ok' : record?.['errno'];
  expect(ended, JSON.stringify(record)).toBe(expected);
  await check(rig, path, { verb, ended: expected, content, old });

  if (expected !== 'ok') {
    // The same request succeeds when the mood is over.
    if (verb === 'restore') await read(path);
    else {
      const again = await rig.ask(verb, path);
      expect(again.record?.['outcome'], again.text).toBe('ok');
    }
    await check(rig, path, { verb, ended: 'ok', content, old });
  }
  const strays = (await rig.blobNames()).filter((blob) => blob.includes(name) && blob !== rig.sandbox.blobName(path));
  expect(strays).toEqual([]);
}

async function check(
  rig: Rig,
  path: string,
  { verb, ended, content, old }: { verb: Operation['verb']; ended: string; content: Buffer; old: Buffer | undefined },
): Promise<void> {
  const blob = (await rig.blob(path).exists()) ? digest(await rig.blob(path).downloadToBuffer()) : undefined;
  const states = await rig.states(path);
  if (verb === 'archive') {
    expect(blob).toBe(ended === 'ok' ? digest(content) : old === undefined ? undefined : digest(old));
    expect(states & (HSM.ARCHIVED | HSM.DIRTY)).toBe(
      ended === 'ok' ? HSM.ARCHIVED : old === undefined ? 0 : HSM.ARCHIVED | HSM.DIRTY,
    );
    expect(digest(readFileSync(path))).toBe(digest(content));
  } else if (verb === 'restore') {
    expect(blob).toBe(digest(content));
    expect(states).toBe(ended === 'ok' ? CLEAN : RELEASED);
    if (ended === 'ok') expect(digest(readFileSync(path))).toBe(digest(content));
  } else {
    // Lustre was told first that the copy does not count any more: a failed removal leaves a file with its data.
    if (ended === 'ok') expect(blob).toBeUndefined();
    else expect(blob).toBe(digest(content));
    expect(states & HSM.ARCHIVED).toBe(0);
    expect(digest(readFileSync(path))).toBe(digest(content));
  }
}
