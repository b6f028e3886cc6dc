import type { TokenCredential } from '@azure/identity';
import { storageSharedKeyCredentialPolicy } from '@azure/storage-common';
import { readSecret, type SecretSource } from '../config/credential-source.ts';
import type { ArchiveConfig, CredentialConfig } from '../config/types.ts';
import { OperatorError } from '../service/errors.ts';
import { redact } from '../service/redact.ts';
import { Secret } from '../service/secret.ts';
import { BlobError } from './errors.ts';
import type { HeaderMap } from './header-map.ts';

/** One request to be signed. `path` and `query` are encoded as they will be sent; `query` without question mark. */
export interface SignableRequest {
  readonly method: string;
  readonly origin: string;
  readonly path: string;
  query: string;
  readonly headers: HeaderMap;
}

/** How requests are authorised. */
export interface BlobAuth {
  readonly kind: 'sas' | 'key' | 'token';
  /** Adds what authorises the request. */
  sign(request: SignableRequest): Promise<void>;
  /** After a refusal: reads or fetches the secret again. True when there is another one, worth another try. */
  refresh(): Promise<boolean>;
  /** What a SAS says of itself. */
  readonly sas: SasFacts | undefined;
}

/** What can be read in a SAS without its signature. */
export interface SasFacts {
  /** Letters of `sp`; undefined when a stored access policy decides. */
  readonly permissions: string | undefined;
  readonly expires: Date | undefined;
}

export interface OpenedCredential {
  /** Without a slash at its end, without a query. */
  readonly endpoint: string;
  readonly account: string;
  readonly auth: BlobAuth;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The account and how to sign in to it. Reads secrets, sends nothing.
 * @throws OperatorError when the secret is missing or is not what it should be
 */
export async function openCredential(
  archive: Pick<ArchiveConfig, 'endpoint' | 'credential'>,
  env: Environment = process.env,
): Promise<OpenedCredential> {
  const { credential } = archive;
  if (credential.type === 'connection_string') return openConnectionString(credential, env);
  const endpoint = (archive.endpoint ?? '').replace(/\/+$/, '');
  const auth =
    credential.type === 'sas'
      ? await SasAuth.open(async () => sasOf((await readSecret(credential, env)).reveal()))
      : new TokenAuth(() => tokenCredential(credential));
  return { endpoint, account: accountOf(endpoint), auth };
}

/** The account's name: the first label of the host, or the first path segment of an emulator's address. */
export function accountOf(endpoint: string): string {
  const url = new URL(endpoint);
  const segment = url.pathname.split('/')[1] ?? '';
  return segment === '' ? (url.hostname.split('.')[0] as string) : segment;
}

/** Permissions and expiry from the query of a SAS. */
export function sasFacts(sas: string): SasFacts {
  const fields = new URLSearchParams(sas);
  const expires = new Date(fields.get('se') ?? '');
  return {
    permissions: fields.get('sp') ?? undefined,
    expires: Number.isNaN(expires.getTime()) ? undefined : expires,
  };
}

/** The query of a SAS from what people paste: the query, with or without question mark, or a whole URL. */
function sasOf(text: string): Secret {
  const query = /^https?:\/\//i.test(text) ? text.slice(text.indexOf('?') + 1) : text.replace(/^\?/, '');
  const fields = new URLSearchParams(query);
  if (fields.has('sig') && fields.has('sv') && !/\s/.test(query)) return new Secret(query);
  throw new OperatorError('the credential is not a shared access signature: sv or sig is missing', {
    code: 'CREDENTIAL_MALFORMED',
    exit: 'notAuthorised',
    hint: 'It looks like sv=…&sr=c&sp=racwdl&se=…&sig=…, in one line, without quotes.',
  });
}

/** A SAS that is in its last minute is read again before it is used. */
const RENEW_BEFORE_MS = 60_000;
const REREAD_EVERY_MS = 5_000;

class SasAuth implements BlobAuth {
  readonly kind = 'sas';
  #secret: Secret;
  #lastRead = 0;
  sas: SasFacts;
  readonly #read: () => Promise<Secret>;

  static async open(read: () => Promise<Secret>): Promise<SasAuth> {
    return new SasAuth(await read(), read);
  }

  constructor(secret: Secret, read: () => Promise<Secret>) {
    this.#secret = secret;
    this.#read = read;
    this.sas = sasFacts(secret.reveal());
  }

  async sign(request: SignableRequest): Promise<void> {
    const left = (this.sas.expires?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now();
    if (left < RENEW_BEFORE_MS && Date.now() - this.#lastRead > REREAD_EVERY_MS) await this.refresh();
    const sas = this.#secret.reveal();
    request.query = request.query === '' ? sas : `${request.query}&${sas}`;
  }

  /** A source that can't be read right now (being replaced) leaves the old one in force. */
  async refresh(): Promise<boolean> {
    this.#lastRead = Date.now();
    const secret = await this.#read().catch(() => this.#secret);
    if (secret.reveal() === this.#secret.reveal()) return false;
    this.#secret = secret;
    this.sas = sasFacts(secret.reveal());
    return true;
  }
}

class SharedKeyAuth implements BlobAuth {
  readonly kind = 'key';
  readonly sas = undefined;
  readonly #policy: ReturnType<typeof storageSharedKeyCredentialPolicy>;

  constructor(accountName: string, key: Secret) {
    this.#policy = storageSharedKeyCredentialPolicy({ accountName, accountKey: Buffer.from(key.reveal(), 'base64') });
  }

  async sign(request: SignableRequest): Promise<void> {
    const url = `${request.origin}${request.path}${request.query === '' ? '' : `?${request.query}`}`;
    type Args = Parameters<typeof this.signThrough>;
    await this.signThrough({ method: request.method, url, headers: request.headers } as unknown as Args[0]);
  }

  /** The SDK's policy does nothing but set headers, of which it asks no more than a map can do. */
  private async signThrough(
    request: Parameters<ReturnType<typeof storageSharedKeyCredentialPolicy>['sendRequest']>[0],
  ) {
    await this.#policy.sendRequest(request, async () => ({ request, status: 200, headers: request.headers }));
  }

  async refresh(): Promise<boolean> {
    return false;
  }
}

const SCOPE = 'https://storage.azure.com/.default';
const TOKEN_MARGIN_MS = 5 * 60_000;

class TokenAuth implements BlobAuth {
  readonly kind = 'token';
  readonly sas = undefined;
  readonly #open: () => Promise<TokenCredential>;
  #credential: Promise<TokenCredential> | undefined;
  #token: { header: Secret; until: number } | undefined;
  #fetching: Promise<Secret> | undefined;

  constructor(open: () => Promise<TokenCredential>) {
    this.#open = open;
  }

  async sign(request: SignableRequest): Promise<void> {
    const token = this.#token;
    const header = token !== undefined && Date.now() < token.until ? token.header : await this.#fetch();
    request.headers.set('authorization', header.reveal());
  }

  async refresh(): Promise<boolean> {
    if (this.#token === undefined) return false;
    this.#token = undefined;
    return true;
  }

  #fetch(): Promise<Secret> {
    this.#fetching ??= this.#getToken().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #getToken(): Promise<Secret> {
    try {
      this.#credential ??= this.#open();
      const answer = await (await this.#credential).getToken(SCOPE);
      if (answer === null) throw new Error('no token was given');
      const header = new Secret(`Bearer ${answer.token}`);
      this.#token = { header, until: answer.expiresOnTimestamp - TOKEN_MARGIN_MS };
      return header;
    } catch (cause) {
      this.#credential = undefined;
      throw new BlobError(`can't sign in to Azure: ${redact(firstLine(cause))}`, {
        code: 'AUTH',
        authReason: 'credential',
        hint: 'Check that the identity is assigned to this machine and that its client_id is right.',
        cause,
      });
    }
  }
}

async function tokenCredential(
  credential: Extract<CredentialConfig, { type: 'managed_identity' | 'workload_identity' }>,
): Promise<TokenCredential> {
  const { ManagedIdentityCredential, WorkloadIdentityCredential } = await import('@azure/identity');
  if (credential.type === 'managed_identity') {
    return credential.clientId === undefined
      ? new ManagedIdentityCredential()
      : new ManagedIdentityCredential({ clientId: credential.clientId });
  }
  return new WorkloadIdentityCredential({
    ...(credential.clientId === undefined ? {} : { clientId: credential.clientId }),
    ...(credential.tenantId === undefined ? {} : { tenantId: credential.tenantId }),
    ...(credential.tokenFile === undefined ? {} : { tokenFilePath: credential.tokenFile }),
  });
}

/** The fields of a connection string; the last of equal keys wins, keys in any case. */
function connectionFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const part of text.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0) fields.set(part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim());
  }
  return fields;
}

async function openConnectionString(source: SecretSource, env: Environment): Promise<OpenedCredential> {
  const read = async () => connectionFields((await readSecret(source, env)).reveal());
  const fields = await read();
  const name = fields.get('accountname');
  const suffix = fields.get('endpointsuffix') ?? 'core.windows.net';
  const endpoint = (
    fields.get('blobendpoint') ??
    (name && `${fields.get('defaultendpointsprotocol') ?? 'https'}://${name}.blob.${suffix}`) ??
    ''
  ).replace(/\/+$/, '');
  if (!URL.canParse(endpoint)) throw malformedConnectionString('it names no account (AccountName or BlobEndpoint)');
  const key = fields.get('accountkey');
  const account = name ?? accountOf(endpoint);
  if (key !== undefined) return { endpoint, account, auth: new SharedKeyAuth(account, new Secret(key)) };
  if (!fields.has('sharedaccesssignature')) {
    throw malformedConnectionString('it has neither AccountKey nor SharedAccessSignature');
  }
  const auth = await SasAuth.open(async () => sasOf((await read()).get('sharedaccesssignature') ?? ''));
  return { endpoint, account, auth };
}

function malformedConnectionString(why: string): OperatorError {
  return new OperatorError(`the connection string can't be used: ${why}`, {
    code: 'CREDENTIAL_MALFORMED',
    exit: 'notAuthorised',
    hint: 'Copy it from the storage account’s access keys: DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…',
  });
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] as string;
}
