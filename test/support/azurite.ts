import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import {
  ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { azuriteArguments, azuriteConnectionString } from './endpoint.ts';

/** Azurite as a child of this process: for tests of src/blob alone, which need no sandbox and no file system. */
export interface Azurite {
  readonly port: number;
  /** Without a slash at its end: `http://127.0.0.1:PORT/devstoreaccount1`. */
  readonly endpoint: string;
  readonly connectionString: string;
  readonly account: string;
  readonly accountKey: string;
  /** The SDK's client with the account's key, independent of the product. */
  containerClient(container: string): ContainerClient;
  /** The query of a container SAS with these permissions (letters, as in `racwdl`). */
  containerSas(container: string, permissions: string, options?: { expires?: Date; starts?: Date }): string;
  stop(): Promise<void>;
}

export interface AzuriteOptions {
  /** Keep the data in this directory; in memory without it. */
  readonly location?: string;
  /** Files of a certificate and its key: it speaks TLS, and takes tokens of identities. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Starts a blob server on a free port of 127.0.0.1, and waits until it listens. */
export async function startAzurite(options: AzuriteOptions = {}): Promise<Azurite> {
  const storage = options.location === undefined ? ['--inMemoryPersistence'] : ['--location', options.location];
  const { tls } = options;
  const secure = tls === undefined ? [] : ['--oauth', 'basic', '--cert', tls.cert, '--key', tls.key];
  const args = azuriteArguments([...storage, ...secure]);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  const port = await listeningPort(child.stdout, gone);
  child.stdout.resume();

  const plain = azuriteConnectionString(port);
  const connectionString =
    tls === undefined ? plain : plain.replaceAll('http://', 'https://').replace('=http;', '=https;');
  const fields = new Map(
    connectionString
      .split(';')
      .map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]),
  );
  const account = fields.get('AccountName') ?? '';
  const accountKey = fields.get('AccountKey') ?? '';
  return {
    port,
    endpoint: fields.get('BlobEndpoint') ?? '',
    connectionString,
    account,
    accountKey,
    containerClient: (container) => new ContainerClient(connectionString, container),
    containerSas: (containerName, permissions, { expires = new Date(Date.now() + 3_600_000), starts } = {}) =>
      generateBlobSASQueryParameters(
        {
          containerName,
          permissions: ContainerSASPermissions.parse(permissions),
          expiresOn: expires,
          ...(starts === undefined ? {} : { startsOn: starts }),
        },
        new StorageSharedKeyCredential(account, accountKey),
      ).toString(),
    async stop() {
      process.off('exit', atExit);
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await gone;
      clearTimeout(kill);
    },
  };
}

async function listeningPort(output: NodeJS.ReadableStream, gone: Promise<void>): Promise<number> {
  const lines = createInterface({ input: output });
  try {
    return await new Promise<number>((resolve, reject) => {
      lines.on('line', (line) => {
        const port = /successfully listens on https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
        if (port !== undefined) resolve(Number(port));
      });
      void gone.then(() => reject(new Error('Azurite ended before it listened')));
    });
  } finally {
    lines.close();
  }
}
