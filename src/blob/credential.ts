import http from 'node:http';
import type { TokenCredential } from '@azure/identity';
import { describeSource, readSecret, type SecretSource } from '../config/credential-source.ts';
import type { ArchiveConfig, CredentialConfig } from '../config/types.ts';
import { OperatorError } from '../service/errors.ts';
import { redact } from '../service/redact.ts';
import { Secret } from '../service/secret.ts';
import { BlobError } from './errors.ts';

/** What requests are authorised with. Another object when the secret is another one. */
export type BlobAccess = SasAccess | KeyAccess | TokenAccess;

/** The SAS is the query that goes into the URLs. */
interface SasAccess {
  readonly kind: 'sas';
  readonly sas: Secret;
}

interface KeyAccess {
  readonly kind: 'key';
  readonly account: string;
  readonly key: Secret;
}

interface TokenAccess {
  readonly kind: 'token';
  readonly credential: TokenCredential;
}

/** How requests are authorised. */
export interface BlobAuth {
  readonly kind: 'sas' | 'key' | 'token';
  /** What to make clients with now. */
  access(): Promise<BlobAccess>;
  /**
   * After a refusal: reads or fetches the secret again. True when there is another one than the request was sent with
   * (default: than there was before), worth another try.
   */
  refresh(sentWith?: BlobAccess): Promise<boolean>;
  /** What a SAS says of itself. */
  readonly sas: SasFacts | undefined;
  /** What to do when it is refused: a sentence that says where its successor belongs. */
  readonly renewal: string;
}

/** What can be read in a SAS without its signature. */
export interface SasFacts {
  /** Letters of `sp`; undefined when a stored access policy decides. */
  readonly permissions: string | undefined;
  /** Not valid before. */
  readonly starts: Date | undefined;
  /** The end of its validity; of a user delegation SAS, the end of the key that it was made with if that is sooner. */
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
  const endpoint = addressOf(archive.endpoint ?? '');
  // The SDK refuses as well, but only at the first request.
  if (credential.type !== 'sas' && new URL(endpoint).protocol !== 'https:') {
    throw new OperatorError(`an identity can't be used with ${endpoint}: tokens are sent over https only`, {
      code: 'CREDENTIAL_UNSAFE',
      exit: 'usage',
      hint: 'Write the archive’s endpoint with https://, or use a SAS.',
    });
  }
  const auth =
    credential.type === 'sas'
      ? await SasAuth.open(async () => sasOf((await readSecret(credential, env)).reveal()), renewalOf(credential))
      : new TokenAuth(() => tokenCredential(credential));
  return { endpoint, account: accountOf(endpoint), auth };
}

/** An endpoint as requests name it: lower case, without the port that the scheme has anyway, without a slash at its end. */
function addressOf(endpoint: string): string {
  const { origin, pathname } = new URL(endpoint);
  return `${origin}${pathname}`.replace(/\/+$/, '');
}

/** The account's name: the first label of the host, or the first path segment of an emulator's address. */
export function accountOf(endpoint: string): string {
  const url = new URL(endpoint);
  const segment = url.pathname.split('/')[1] ?? '';
  return segment === '' ? (url.hostname.split('.')[0] as string) : segment;
}

/** Permissions and validity from the query of a SAS. */
export function sasFacts(sas: string): SasFacts {
  const fields = new URLSearchParams(sas);
  const date = (name: string): number => Date.parse(fields.get(name) ?? '');
  // A user delegation SAS is worth no more than the key of the user's that it was made with.
  const starts = [date('st'), date('skt')].filter((time) => !Number.isNaN(time));
  const expires = [date('se'), date('ske')].filter((time) => !Number.isNaN(time));
  return {
    permissions: fields.get('sp') ?? undefined,
    starts: starts.length === 0 ? undefined : new Date(Math.max(...starts)),
    expires: expires.length === 0 ? undefined : new Date(Math.min(...expires)),
  };
}

/** What to do about a secret that is not accepted any more. */
function renewalOf(source: SecretSource): string {
  return source.file === undefined
    ? `Put a new one into the ${describeSource(source)}, and start this again.`
    : `Write a new one into the ${describeSource(source)}; it is read again by itself.`;
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
/** A new SAS is taken up within this time, long before the old one has expired. */
const LOOK_EVERY_MS = 60_000;

class SasAuth implements BlobAuth {
  readonly kind = 'sas';
  readonly renewal: string;
  #access: SasAccess;
  #lastRead = Date.now();
  sas: SasFacts;
  readonly #read: () => Promise<Secret>;

  static async open(read: () => Promise<Secret>, renewal: string): Promise<SasAuth> {
    return new SasAuth(await read(), read, renewal);
  }

  constructor(secret: Secret, read: () => Promise<Secret>, renewal: string) {
    this.#access = { kind: 'sas', sas: secret };
    this.#read = read;
    this.renewal = renewal;
    this.sas = sasFacts(secret.reveal());
  }

  async access(): Promise<BlobAccess> {
    const sinceRead = Date.now() - this.#lastRead;
    if (sinceRead > REREAD_EVERY_MS) {
      const left = (this.sas.expires?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now();
      if (left < RENEW_BEFORE_MS) await this.refresh();
      else if (sinceRead > LOOK_EVERY_MS) void this.refresh();
    }
    return this.#access;
  }

  /** A source that can't be read right now (being replaced) leaves the old one in force. */
  async refresh(sentWith: BlobAccess = this.#access): Promise<boolean> {
    if (sentWith !== this.#access) return true;
    this.#lastRead = Date.now();
    const secret = await this.#read().catch(() => this.#access.sas);
    if (secret.reveal() !== this.#access.sas.reveal()) {
      this.#access = { kind: 'sas', sas: secret };
      this.sas = sasFacts(secret.reveal());
    }
    return sentWith !== this.#access;
  }
}

/** Shared Key, from a connection string; a rotated key is read again like a SAS. */
class SharedKeyAuth implements BlobAuth {
  readonly kind = 'key';
  readonly sas = undefined;
  readonly renewal: string;
  readonly #read: () => Promise<Secret>;
  #access: KeyAccess;

  constructor(account: string, key: Secret, read: () => Promise<Secret>, renewal: string) {
    this.#read = read;
    this.renewal = renewal;
    this.#access = { kind: 'key', account, key };
  }

  async access(): Promise<BlobAccess> {
    return this.#access;
  }

  async refresh(sentWith: BlobAccess = this.#access): Promise<boolean> {
    if (sentWith !== this.#access) return true;
    const { key: old, account } = this.#access;
    const key = await this.#read().catch(() => old);
    if (key.reveal() !== this.#access.key.reveal()) this.#access = { kind: 'key', account, key };
    return sentWith !== this.#access;
  }
}

class TokenAuth implements BlobAuth {
  readonly kind = 'token';
  readonly sas = undefined;
  readonly renewal = 'Check that the identity exists, is assigned to this machine and has its role on the container.';
  readonly #credential: LazyCredential;
  #access: BlobAccess;

  constructor(open: () => Promise<TokenCredential>) {
    this.#credential = new LazyCredential(open);
    this.#access = { kind: 'token', credential: this.#credential };
  }

  async access(): Promise<BlobAccess> {
    return this.#access;
  }

  /** The SDK keeps a token until shortly before its end, per pipeline: a new pipeline asks for a new one. */
  async refresh(sentWith: BlobAccess = this.#access): Promise<boolean> {
    if (sentWith !== this.#access) return true;
    if (!this.#credential.used) return false;
    this.#credential.used = false;
    this.#access = { kind: 'token', credential: this.#credential };
    return true;
  }
}

/** Opens the real credential, and loads its library, when a token is asked for. */
class LazyCredential implements TokenCredential {
  readonly #open: () => Promise<TokenCredential>;
  #opened: Promise<TokenCredential> | undefined;
  /** Whether a token was given since this was last set to false. */
  used = false;

  constructor(open: () => Promise<TokenCredential>) {
    this.#open = open;
  }

  async getToken(...asked: Parameters<TokenCredential['getToken']>): ReturnType<TokenCredential['getToken']> {
    try {
      this.#opened ??= this.#open();
      const token = await (await this.#opened).getToken(...asked);
      if (token === null) throw new Error('no token was given');
      this.used = true;
      return token;
    } catch (cause) {
      this.#opened = undefined;
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
    const { clientId } = credential;
    // The metadata service has an address of the machine's own, to which no proxy leads. The SDK asks it through whatever
    // proxy the environment names all the same, unless it is given an agent.
    const options = { agent: new http.Agent() };
    return new ManagedIdentityCredential(clientId === undefined ? options : { clientId, ...options });
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
  const written =
    fields.get('blobendpoint') ??
    (name && `${fields.get('defaultendpointsprotocol') ?? 'https'}://${name}.blob.${suffix}`) ??
    '';
  if (!URL.canParse(written)) throw malformedConnectionString('it names no account (AccountName or BlobEndpoint)');
  const endpoint = addressOf(written);
  const key = fields.get('accountkey');
  const account = name ?? accountOf(endpoint);
  const renewal = renewalOf(source);
  if (key !== undefined) {
    const again = async () => new Secret((await read()).get('accountkey') ?? key);
    return { endpoint, account, auth: new SharedKeyAuth(account, new Secret(key), again, renewal) };
  }
  if (!fields.has('sharedaccesssignature')) {
    throw malformedConnectionString('it has neither AccountKey nor SharedAccessSignature');
  }
  const auth = await SasAuth.open(async () => sasOf((await read()).get('sharedaccesssignature') ?? ''), renewal);
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
