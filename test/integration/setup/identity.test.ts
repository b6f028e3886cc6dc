import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLAIMS_NAME } from '../../../src/blob/claims.ts';
import { controlName } from '../../../src/blob/control.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import { openFileSystem } from '../../../src/lustre/file-system.ts';
import { helperPath } from '../../support/project.ts';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';

// A file system's identity, and how a new one gets the containers of one that is gone.

let old: Sandbox;
let young: Sandbox | undefined;

beforeEach(async () => {
  old = await startSandbox({ standInOnly: true });
});
afterEach(async () => {
  await young?.stop();
  young = undefined;
  await old.stop();
});

interface Answer {
  readonly uuid: string | null;
  readonly steps: readonly { step: string; subject: string; state: string; detail: string }[];
  readonly error?: { code: string; hint: string };
}

async function setup(sandbox: Sandbox, ...args: string[]): Promise<{ code: number | null; answer: Answer }> {
  const { exitCode, stdout } = await sandbox.run(['setup', '--json', ...args]);
  return { code: exitCode, answer: JSON.parse(stdout) as Answer };
}

const states = ({ steps }: Answer) =>
  steps.filter(({ step }) => step !== 'directory').map(({ step, state }) => `${step}: ${state}`);
const directories = ({ steps }: Answer) =>
  steps.filter(({ step }) => step === 'directory').map(({ subject, state }) => [basename(subject), state]);

async function blob(sandbox: Sandbox, name: string): Promise<Record<string, unknown> | undefined> {
  const client = sandbox.containerClient.getBlobClient(name);
  return (await client.exists()) ? JSON.parse((await client.downloadToBuffer()).toString()) : undefined;
}

async function uuidOf(sandbox: Sandbox): Promise<string | undefined> {
  const fs = await openFileSystem({ mount: sandbox.mount, liblustreapi: sandbox.llapi, helper: helperPath });
  return await fs.readUuid().finally(() => fs.close());
}

/** A second file system, empty, with the first one's container in its configuration. */
async function successor(): Promise<Sandbox> {
  young = await startSandbox({ standInOnly: true, containerOf: old });
  rmSync(young.tree, { recursive: true });
  return young;
}

describe('a new file system and a new container', () => {
  test('a dry run changes nothing; then both have the UUID, and the catalog; then nothing is to be done', async () => {
    // With services or without: a directory that is open to others is closed, and is no reason not to go on.
    chmodSync(join(old.dir, 'state'), 0o777);
    const dry = await setup(old, '--dry-run');
    expect(dry.code).toBe(0);
    expect(dry.answer.uuid).toBeNull();
    expect(directories(dry.answer)).toEqual([
      ['state', 'would'],
      ['run-dir', 'unchanged'],
    ]);
    expect(statSync(join(old.dir, 'state')).mode & 0o777).toBe(0o777);
    expect(states(dry.answer)).toEqual(['file system: would', 'archive 1: would', 'catalog: would']);
    expect(await uuidOf(old)).toBeUndefined();
    expect(await blob(old, controlName(''))).toBeUndefined();
    expect(await blob(old, CLAIMS_NAME)).toBeUndefined();
    expect(existsSync(join(old.dir, 'state', 'catalog.db'))).toBe(false);

    const done = await setup(old);
    expect(states(done.answer)).toEqual(['file system: done', 'archive 1: done', 'catalog: done']);
    expect(statSync(join(old.dir, 'state')).mode & 0o777).toBe(0o750);
    const { uuid } = done.answer;
    expect(await uuidOf(old)).toBe(uuid);
    expect(await blob(old, controlName(''))).toMatchObject({ fs: uuid, prefix: '' });
    expect(await blob(old, CLAIMS_NAME)).toEqual({ version: 1, claims: [{ prefix: '', fs: uuid }] });
    const catalog = openCatalog({ file: join(old.dir, 'state', 'catalog.db') });
    expect(await catalog.fileSystem()).toBe(uuid);
    catalog.close();

    const again = await setup(old);
    expect(states(again.answer)).toEqual(['file system: unchanged', 'archive 1: unchanged', 'catalog: unchanged']);
    expect(again.answer.uuid).toBe(uuid);
    const copytool = await old.startCopytool();
    expect(await copytool.stop()).toMatchObject({ exitCode: 143 });
  });

  test('what a killed one has left is completed', async () => {
    const { answer } = await setup(old);
    await old.containerClient.deleteBlob(controlName(''));
    rmSync(join(old.dir, 'state', 'catalog.db'));
    const again = await setup(old);
    expect(states(again.answer)).toEqual(['file system: unchanged', 'archive 1: done', 'catalog: done']);
    expect(again.answer.uuid).toBe(answer.uuid);
  });

  test('paths that services can not see are refused before anything is done', async () => {
    const root = join(old.dir, 'root');
    const places = ['--root', root, '--program', '/usr/bin/lfsazsync'];
    const { code, answer } = await setup(old, ...places);
    // Services don't see what lies in /tmp, where the sandbox is: said before anything is done.
    expect(code).toBe(2);
    expect(answer.error).toMatchObject({ code: 'SETUP_PATH' });
    expect(await uuidOf(old)).toBeUndefined();
  });

  test('for people: a line for each thing', async () => {
    const { stdout, exitCode } = await old.run(['setup', '--dry-run']);
    expect(exitCode).toBe(0);
    // What the checks warn of comes first.
    expect(stdout.split('\n').slice(-5)).toEqual([
      `file system ${old.mount}: would give it a UUID`,
      `archive 1 devstoreaccount1/${old.container}: would claim it`,
      `catalog ${join(old.dir, 'state', 'catalog.db')}: would begin it`,
      'A dry run: nothing was changed.',
      '',
    ]);
  });
});

describe('a container of another file system', () => {
  test('is refused, with the one command that takes it over; nothing is changed', async () => {
    const { answer } = await setup(old);
    const other = await successor();
    const refused = await setup(other);
    expect(refused.code).toBe(1);
    expect(refused.answer.error).toMatchObject({
      code: 'IDENTITY_MISMATCH',
      hint: expect.stringContaining(`lfsazsync setup --take-over ${answer.uuid}`),
    });
    expect(await uuidOf(other)).toBeUndefined();
  });

  test('is taken over: control blob, claims, catalog; the old one’s services don’t start any more', async () => {
    const { uuid: before } = (await setup(old)).answer;
    const other = await successor();
    const dry = await setup(other, '--take-over', before as string, '--dry-run');
    expect(dry.answer.steps.find(({ step }) => step === 'archive 1')).toMatchObject({
      state: 'would',
      detail: `take it over from ${before}`,
    });
    expect((await blob(old, controlName('')))?.['fs']).toBe(before);

    const taken = await setup(other, '--take-over', String(before).toUpperCase());
    expect(taken.code).toBe(0);
    const { uuid } = taken.answer;
    expect(uuid).not.toBe(before);
    const control = await blob(old, controlName(''));
    expect(control).toMatchObject({ fs: uuid, previous: [{ fs: before }] });
    expect(await blob(old, CLAIMS_NAME)).toEqual({ version: 1, claims: [{ prefix: '', fs: uuid }] });
    const audit = await other.exec('cat', [join(other.dir, 'state', 'audit.log')]);
    expect(audit.stdout).toContain(`taken over from ${before} by ${uuid}`);

    const again = await setup(other, '--take-over', before as string);
    expect(states(again.answer)).toEqual(['file system: unchanged', 'archive 1: unchanged', 'catalog: unchanged']);
    const started = await old.run(['copytool']);
    expect(started.exitCode).toBe(1);
    expect(started.stderr + started.stdout).toContain('IDENTITY_MISMATCH');
    const copytool = await other.startCopytool();
    expect(await copytool.stop()).toMatchObject({ exitCode: 143 });
  });

  test('killed between the control blob and the claims, it is finished by doing it again', async () => {
    const { uuid: before } = (await setup(old)).answer;
    const claims = await old.containerClient.getBlobClient(CLAIMS_NAME).downloadToBuffer();
    const other = await successor();
    const { uuid } = (await setup(other, '--take-over', before as string)).answer;
    // As it was before the claims were changed.
    await old.containerClient.getBlockBlobClient(CLAIMS_NAME).upload(claims, claims.length);
    rmSync(join(other.dir, 'state', 'catalog.db'));
    const again = await setup(other, '--take-over', before as string);
    expect(states(again.answer)).toEqual(['file system: unchanged', 'archive 1: done', 'catalog: done']);
    expect(await blob(old, CLAIMS_NAME)).toEqual({ version: 1, claims: [{ prefix: '', fs: uuid }] });
  });

  test.each([
    ['a follower is alive', 'FOLLOWER_RUNNING', 5],
    ['there are files', 'TAKE_OVER_NOT_EMPTY', 1],
    ['it is named wrongly', 'TAKE_OVER_OTHER', 2],
    ['it is no UUID at all', 'USAGE', 2],
  ])('is not taken over when %s', async (what, code, exit) => {
    const { uuid: before } = (await setup(old)).answer;
    const other = await successor();
    if (what === 'a follower is alive')
      await old.containerClient.getBlobClient(controlName('')).getBlobLeaseClient().acquireLease(60);
    if (what === 'there are files') mkdirSync(join(other.mount, 'something'));
    const named =
      { TAKE_OVER_OTHER: '11111111-2222-4333-8444-555555555555', USAGE: 'that-one' }[code] ?? (before as string);
    const refused = await setup(other, '--take-over', named);
    expect(refused.answer.error?.code).toBe(code);
    expect(refused.code).toBe(exit);
    expect((await blob(old, controlName('')))?.['fs']).toBe(before);
    expect(await uuidOf(other)).toBeUndefined();
  });

  test('is not taken over from itself', async () => {
    const { uuid } = (await setup(old)).answer;
    expect((await setup(old, '--take-over', uuid as string)).answer.error?.code).toBe('TAKE_OVER_SELF');
  });
});

test('a catalog of the file system that is gone is set aside on the same machine', async () => {
  const { uuid: before } = (await setup(old)).answer;
  const other = await successor();
  mkdirSync(join(other.dir, 'state'), { recursive: true });
  const file = join(other.dir, 'state', 'catalog.db');
  const catalog = openCatalog({ file, create: true });
  await catalog.claim(before as string);
  catalog.close();
  const taken = await setup(other, '--take-over', before as string);
  expect(taken.answer.steps.find(({ step }) => step === 'catalog')?.detail).toContain(`catalog.db.of-${before}`);
  expect(readdirSync(join(other.dir, 'state'))).toContain(`catalog.db.of-${before}`);
});

test('a copytool of the old file system that is still at work stops when its container is another one’s', async () => {
  appendFileSync(old.configFile, 'copytool:\n  heartbeat: 100ms\n');
  const copytool = await old.startCopytool();
  const { uuid: before } = (await setup(old)).answer;
  const other = await successor();
  const { uuid } = (await setup(other, '--take-over', before as string)).answer;
  expect(await copytool.exited()).toEqual({ exitCode: 1, signal: null });
  expect(copytool.log.text()).toContain(`belongs to file system ${uuid}`);
});
