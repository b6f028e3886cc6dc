import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type BlobGateway, startGateway } from '../../support/blob-gateway.ts';
import { createContainer } from '../../support/endpoint.ts';
import type { SandboxOptions, Settings } from '../../support/sandbox.ts';
import { Rig } from './fixture.ts';

/** The sandbox's variables say again what stands in its configuration: here the file is to count. */
export const FILE_COUNTS = { AZURE_STORAGE_CONNECTION_STRING: undefined, LFSAZSYNC_CONTAINER: undefined };

/** A rig whose archive 1 goes through the gateway that fails on demand; archive 2, if wanted, goes straight. */
export interface GatewayRig {
  readonly rig: Rig;
  readonly gateway: BlobGateway;
  stop(): Promise<void>;
}

/** The container of archive 2. */
export const SECOND = 'second';

export async function startGatewayRig(
  options: SandboxOptions & {
    readonly second?: boolean;
    /** Put over the settings of archive 1. */ readonly archive?: (rig: Rig, gateway: BlobGateway) => Promise<Settings>;
  } = {},
): Promise<GatewayRig> {
  const { second = false, archive, ...rest } = options;
  const rig = await Rig.start(rest);
  const { sandbox } = rig;
  const direct = sandbox.connectionString;
  const endpoint = /BlobEndpoint=([^;]+)/.exec(direct)?.[1] ?? '';
  const gateway = await startGateway(endpoint);
  await rig.copytool.stop();
  writeFileSync(join(sandbox.dir, 'connection-string'), direct.replace(endpoint, gateway.endpoint), { mode: 0o600 });
  const config = parse(readFileSync(sandbox.configFile, 'utf8')) as { archives: Record<string, Settings> };
  if (second) {
    await createContainer(direct, SECOND);
    const file = join(sandbox.dir, 'second-connection-string');
    writeFileSync(file, direct, { mode: 0o600 });
    config.archives['2'] = { container: SECOND, credential: { type: 'connection_string', file } };
  }
  if (archive !== undefined) config.archives['1'] = { ...config.archives['1'], ...(await archive(rig, gateway)) };
  writeFileSync(sandbox.configFile, stringify(config));
  await rig.restart(FILE_COUNTS);
  return {
    rig,
    gateway,
    async stop() {
      gateway.interfere = () => undefined;
      await rig.stop();
      await gateway.stop();
    },
  };
}
