import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../support/project.ts';
import { CONTAINER, SAS } from './endpoint.ts';
import type { Program } from './process-cost.ts';

const PACKAGED = join(projectRoot, 'node_modules/@azure-tools/azcopy-linux/dist/bin/azcopy_linux_amd64');

export interface AzCopy {
  readonly version: string;
  /** What runs it: everything below `source` to the container, or the container's content into `target`. */
  copy(direction: 'archive' | 'restore', o: CopyOptions): Program;
}

export interface CopyOptions {
  readonly endpoint: string;
  readonly authority: string;
  readonly directory: string;
  /** Whether it asks for the length of what it has written; its default is to do so. */
  readonly checkLength: boolean;
}

/** AzCopy from its npm package, or the program that is named. @throws Error that says what is missing */
export async function findAzCopy(scratch: string, named?: string): Promise<AzCopy> {
  const file = named ?? PACKAGED;
  if (!existsSync(file)) throw new Error(`AzCopy is not at ${file}: run npm ci, or name it with --azcopy`);
  // npm may unpack the program without the right to run it.
  if (named === undefined) chmodSync(file, 0o755);
  const told = spawnSync(file, ['--version'], { encoding: 'utf8', env: { HOME: scratch } });
  const version = /azcopy version (\S+)/.exec(told.stdout ?? '')?.[1];
  if (version === undefined) {
    const missing = /libsecret/.test(told.stderr ?? '') ? ': apt-get install libsecret-1-0' : `: ${told.stderr}`;
    throw new Error(`AzCopy does not start${missing}`);
  }
  const own = join(scratch, 'azcopy');
  await mkdir(own, { recursive: true });
  return {
    version,
    copy: (direction, { endpoint, authority, directory, checkLength }) => {
      const local = direction === 'archive' ? `${directory}/*` : directory;
      const remote = `${endpoint}/${CONTAINER}${direction === 'archive' ? '' : '/*'}?${SAS}`;
      return {
        file,
        args: [
          'copy',
          ...(direction === 'archive' ? [local, remote] : [remote, local]),
          '--recursive',
          `--from-to=${direction === 'archive' ? 'LocalBlob' : 'BlobLocal'}`,
          `--check-length=${checkLength}`,
          '--log-level=ERROR',
          '--output-level=essential',
          '--skip-version-check',
        ],
        // Its own defaults for everything that makes it fast; nothing that it writes lands elsewhere.
        env: {
          HOME: own,
          AZCOPY_LOG_LOCATION: own,
          AZCOPY_JOB_PLAN_LOCATION: own,
          AZCOPY_DISABLE_SYSLOG: 'true',
          SSL_CERT_FILE: authority,
        },
        log: () => lastLog(own),
      };
    },
  };
}

/** The log of the job that was written last. */
async function lastLog(directory: string): Promise<string> {
  const logs = (await readdir(directory)).filter((name) => /^[0-9a-f-]+\.log$/.test(name));
  const written = await Promise.all(
    logs.map(async (name) => ({ name, at: (await stat(join(directory, name))).mtimeMs })),
  );
  const last = written.sort((a, b) => b.at - a.at)[0];
  return last === undefined ? '' : await readFile(join(directory, last.name), 'utf8');
}
