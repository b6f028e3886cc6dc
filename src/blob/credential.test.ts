import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { accountOf, openCredential, sasFacts } from './credential.ts';

const SAS = 'sv=2021-12-02&sr=c&sp=rwl&se=2030-01-02T03:04:05Z&sig=TOPSECRET%3D';
const KEY = Buffer.from('TOPSECRETKEY').toString('base64');
const open = (credential: { type: 'sas' | 'connection_string'; env: string }, secret: string, endpoint?: string) =>
  openCredential({ endpoint, credential }, { S: secret });

test('a SAS in the forms that people paste', async () => {
  for (const form of [SAS, `?${SAS}`, ` ${SAS}\n`, `https://acct.blob.core.windows.net/c?${SAS}`]) {
    const { auth, account, endpoint } = await open(
      { type: 'sas', env: 'S' },
      form,
      'https://acct.blob.core.windows.net/',
    );
    expect(auth.sas).toEqual({ permissions: 'rwl', expires: new Date('2030-01-02T03:04:05Z') });
    expect([account, endpoint]).toEqual(['acct', 'https://acct.blob.core.windows.net']);
  }
  expect(sasFacts('si=policy&sig=x')).toEqual({ permissions: undefined, expires: undefined });
});

test('an endpoint is one address, however it is written', async () => {
  for (const written of [
    'https://Acct.Blob.core.windows.net',
    'https://acct.blob.core.windows.net:443/',
    'HTTPS://acct.blob.core.windows.net//',
  ]) {
    expect((await open({ type: 'sas', env: 'S' }, SAS, written)).endpoint).toBe('https://acct.blob.core.windows.net');
    const string = `BlobEndpoint=${written};AccountName=acct;AccountKey=${KEY}`;
    expect((await open({ type: 'connection_string', env: 'S' }, string)).endpoint).toBe(
      'https://acct.blob.core.windows.net',
    );
  }
});

test.each(['nonsense', 'sv=1', '"sv=1&sig=x" y'])('what is no SAS is refused, and not shown: %s', async (text) => {
  const error = await open({ type: 'sas', env: 'S' }, text, 'https://a.blob.core.windows.net').catch(
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({ code: 'CREDENTIAL_MALFORMED', exit: 'notAuthorised' });
  expect(inspect(error)).not.toContain('nonsense');
});

test('connection strings, with key and with SAS', async () => {
  const withKey = await open(
    { type: 'connection_string', env: 'S' },
    `DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=${KEY};EndpointSuffix=core.windows.net`,
  );
  expect(withKey).toMatchObject({
    endpoint: 'https://acct.blob.core.windows.net',
    account: 'acct',
    auth: { kind: 'key' },
  });
  const withSas = await open(
    { type: 'connection_string', env: 'S' },
    `BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=${SAS}`,
  );
  expect(withSas).toMatchObject({
    endpoint: 'https://acct.blob.core.windows.net',
    account: 'acct',
    auth: { kind: 'sas' },
  });
  for (const opened of [withKey, withSas]) {
    expect(inspect(opened, { depth: 20, showHidden: true }) + JSON.stringify(opened)).not.toMatch(
      /TOPSECRET|VE9QU0VDUkVUS0VZ/,
    );
  }
});

test.each(['AccountKey=x', 'AccountName=acct', 'x'])('a connection string that is not whole: %s', async (text) => {
  await expect(open({ type: 'connection_string', env: 'S' }, text)).rejects.toMatchObject({
    code: 'CREDENTIAL_MALFORMED',
  });
});

test('the account is in the host, or in the path of an emulator', () => {
  expect(accountOf('https://acct.blob.core.windows.net')).toBe('acct');
  expect(accountOf('http://127.0.0.1:10000/devstoreaccount1')).toBe('devstoreaccount1');
});

test('what keeps an identity from signing in is told as such, before anything is sent', async () => {
  const { auth } = await openCredential({
    endpoint: 'https://acct.blob.core.windows.net',
    credential: { type: 'workload_identity', clientId: 'c', tenantId: 't', tokenFile: '/nonexistent/token' },
  });
  const access = await auth.access();
  if (access.kind !== 'token') throw new Error('not a credential that gives tokens');
  await expect(access.credential.getToken('https://storage.azure.com/.default')).rejects.toMatchObject({
    name: 'BlobError',
    code: 'AUTH',
    authReason: 'credential',
  });
  expect(await auth.refresh()).toBe(false);
});

test('an identity is not used without TLS', async () => {
  const credential = { type: 'managed_identity', clientId: undefined } as const;
  await expect(openCredential({ endpoint: 'http://127.0.0.1:1/acct', credential })).rejects.toMatchObject({
    code: 'CREDENTIAL_UNSAFE',
    exit: 'usage',
  });
});

test('a user delegation SAS is over when the key is that it was made with, and valid from the later of two starts', () => {
  const sas = 'sp=r&st=2030-01-01T00:00:00Z&se=2030-01-09T00:00:00Z&skt=2030-01-02T00:00:00Z&ske=2030-01-07T00:00:00Z';
  expect(sasFacts(sas)).toEqual({
    permissions: 'r',
    starts: new Date('2030-01-02T00:00:00Z'),
    expires: new Date('2030-01-07T00:00:00Z'),
  });
});
