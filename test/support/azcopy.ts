import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerSASPermissions } from '@azure/storage-blob';
import { projectRoot } from './project.ts';
import { type RunResult, run } from './run.ts';
import type { Sandbox } from './sandbox.ts';

/** Microsoft's own tool, from its npm package. */
const AZCOPY = join(projectRoot, 'node_modules/@azure-tools/azcopy-linux/dist/bin/azcopy_linux_amd64');

/** Why it can't run here: the package has a program for one architecture only. Undefined: it can. */
export const AZCOPY_OBSTACLE =
  process.arch === 'x64' ? undefined : `AzCopy's package has no program for ${process.arch}`;

/** Copies everything in a sandbox's container into a directory, with AzCopy; nothing that it writes lands elsewhere. */
export async function azcopyOut(sandbox: Sandbox, target: string, options: readonly string[] = []): Promise<RunResult> {
  mkdirSync(target, { recursive: true });
  const source = await place(sandbox, 'rl', '/*');
  return await azcopy(sandbox, [source, target, '--from-to=BlobLocal', ...options]);
}

/** Copies everything in a directory below a directory of a sandbox's container, with AzCopy. */
export async function azcopyIn(
  sandbox: Sandbox,
  source: string,
  target: string,
  options: readonly string[] = [],
): Promise<RunResult> {
  const to = await place(sandbox, 'racwdl', `/${target}`);
  return await azcopy(sandbox, [`${source}/*`, to, '--from-to=LocalBlob', ...options]);
}

async function place(sandbox: Sandbox, permissions: string, below: string): Promise<string> {
  const url = new URL(
    await sandbox.containerClient.generateSasUrl({
      permissions: ContainerSASPermissions.parse(permissions),
      expiresOn: new Date(Date.now() + 3_600_000),
    }),
  );
  url.pathname += below;
  return url.href;
}

async function azcopy(sandbox: Sandbox, args: readonly string[]): Promise<RunResult> {
  if (!existsSync(AZCOPY)) throw new Error(`AzCopy is not at ${AZCOPY}: run npm run setup`);
  // npm may unpack the program without the right to run it.
  chmodSync(AZCOPY, 0o755);
  const own = join(sandbox.dir, 'azcopy');
  mkdirSync(own, { recursive: true });
  return await run(AZCOPY, ['copy', ...args, '--recursive', '--log-level=ERROR', '--skip-version-check'], {
    env: {
      PATH: process.env['PATH'],
      HOME: own,
      AZCOPY_LOG_LOCATION: own,
      AZCOPY_JOB_PLAN_LOCATION: own,
      AZCOPY_DISABLE_SYSLOG: 'true',
    },
  });
}
