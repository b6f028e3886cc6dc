import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { startDetached } from './detached.ts';
import { needBuilt, projectRoot } from './project.ts';
import { ENDPOINT, type SandboxDirectory } from './sandbox-directory.ts';

const AZURITE = join(projectRoot, 'node_modules/azurite/dist/src/blob/main.js');
const BY_NAME = join(import.meta.dirname, 'azurite-by-name.ts');

/** Azurite's account and key, the same everywhere and printed in its documentation: no secret. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** The connection string of an Azurite that listens on this port of 127.0.0.1. */
export function azuriteConnectionString(port: number): string {
  return `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=http://127.0.0.1:${port}/${ACCOUNT};`;
}

/** The arguments with which Node runs Azurite's blob server on a free port, its data where `storage` says. */
export function azuriteArguments(storage: readonly string[]): string[] {
  needBuilt(AZURITE, 'run npm ci');
  const server = ['--import', BY_NAME, AZURITE, '--blobHost', '127.0.0.1', '--blobPort', '0'];
  return [...server, ...storage, '--skipApiVersionCheck', '--disableTelemetry', '--silent'];
}

/** Starts the sandbox's Azurite on a free port, its data below the sandbox's directory. Gives its connection string. */
export async function startEndpoint(sandbox: SandboxDirectory): Promise<string> {
  mkdirSync(sandbox.endpointDir, { recursive: true });
  const { match } = await startDetached(sandbox, {
    name: ENDPOINT,
    file: process.execPath,
    args: azuriteArguments(['--location', sandbox.endpointDir]),
    logFile: join(sandbox.dir, 'azurite.log'),
    ready: /successfully listens on http:\/\/127\.0\.0\.1:(\d+)/,
  });
  return azuriteConnectionString(Number(match[1]));
}

/** Creates the container unless it is there. */
export async function createContainer(connectionString: string, container: string): Promise<void> {
  await BlobServiceClient.fromConnectionString(connectionString).getContainerClient(container).createIfNotExists();
}
