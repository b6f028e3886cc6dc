import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { startDetached } from './detached.ts';
import { needBuilt, projectRoot } from './project.ts';
import { ENDPOINT, type SandboxDirectory } from './sandbox-directory.ts';

const AZURITE = join(projectRoot, 'node_modules/azurite/dist/src/blob/main.js');

/** Azurite's account and key, the same everywhere and printed in its documentation: no secret. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** The connection string of an Azurite that listens on this port of 127.0.0.1. */
export function azuriteConnectionString(port: number): string {
  return `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=http://127.0.0.1:${port}/${ACCOUNT};`;
}

/** Starts the sandbox's Azurite on a free port, its data below the sandbox's directory. Gives its connection string. */
export async function startEndpoint(sandbox: SandboxDirectory): Promise<string> {
  needBuilt(AZURITE, 'run npm ci');
  mkdirSync(sandbox.endpointDir, { recursive: true });
  const { match } = await startDetached(sandbox, {
    name: ENDPOINT,
    file: process.execPath,
    args: [
      AZURITE,
      ...['--blobHost', '127.0.0.1', '--blobPort', '0', '--location', sandbox.endpointDir],
      ...['--skipApiVersionCheck', '--disableTelemetry', '--silent'],
    ],
    logFile: join(sandbox.dir, 'azurite.log'),
    ready: /successfully listens on http:\/\/127\.0\.0\.1:(\d+)/,
  });
  return azuriteConnectionString(Number(match[1]));
}

/** Creates the container unless it is there. */
export async function createContainer(connectionString: string, container: string): Promise<void> {
  await BlobServiceClient.fromConnectionString(connectionString).getContainerClient(container).createIfNotExists();
}
