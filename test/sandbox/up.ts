import { createContainer, startEndpoint } from '../support/endpoint.ts';
import { registerChangelogUser, setMaxRequests, standInFileSystem } from '../support/file-system.ts';
import { simPrograms } from '../support/project.ts';
import { sandboxConfig, sandboxEnv, writeSandboxConfig } from '../support/sandbox.ts';
import type { SandboxDirectory } from '../support/sandbox-directory.ts';
import type { StandInOptions } from '../support/stand-in.ts';
import type { SandboxDescription } from './description.ts';

const CONTAINER = 'sandbox';
/** Lustre's default of 3 keeps a copytool idle most of the time. */
const MAX_REQUESTS = 64;
/** The name of the first that is registered. */
const CHANGELOG_USER = 'cl1';

/**
 * Starts the stand-in and Azurite in the directory, after ending what is left of an earlier time there. Both take up
 * the data that they find. Leaves nothing running when a part fails, or when the user interrupts.
 */
export async function up(records: SandboxDirectory, options: StandInOptions): Promise<SandboxDescription> {
  await records.endAll();
  const interrupt = (): void => {
    void records.endAll().finally(() => process.exit(130));
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt);
  try {
    const starts = [standInFileSystem(records, options), startEndpoint(records)] as const;
    await Promise.allSettled(starts);
    const [fileSystem, connectionString] = await Promise.all(starts);
    await createContainer(connectionString, CONTAINER);
    // As an administrator does once; the stand-in keeps its users and parameters.
    if (records.readDescription() === undefined) {
      await registerChangelogUser(fileSystem.env);
      await setMaxRequests(fileSystem.env, MAX_REQUESTS);
    }
    const config = sandboxConfig(records, { ...fileSystem, changelogUser: CHANGELOG_USER }, CONTAINER);
    writeSandboxConfig(records, connectionString, config);
    const description: SandboxDescription = {
      version: 1,
      endpoint: /BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? '',
      env: { ...sandboxEnv(records, fileSystem, connectionString, CONTAINER), PATH: simPrograms },
    };
    records.writeDescription(description);
    return description;
  } catch (error) {
    await records.endAll();
    throw error;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, interrupt);
  }
}
