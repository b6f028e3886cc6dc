import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { openOwnStores } from '../../blob/own-stores.ts';
import { openCatalog, WALK_CACHE } from '../../catalog/open.ts';
import { catalogFile } from '../../catalog/place.ts';
import type { Config } from '../../config/types.ts';
import { LustreSource } from '../../follow/lustre-source.ts';
import { openFileSystem } from '../../lustre/file-system.ts';
import { printable } from '../../lustre/printable.ts';
import { Scanner } from '../../lustre/scanner.ts';
import { EVERYTHING, targetAt } from '../../scan/target.ts';
import { lockRun } from '../../service/control/run-lock.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';
import { mustHaveArchives } from '../start-sweep.ts';
import { findingJson } from './report.ts';
import type { VerifyFinding, VerifyProgress, VerifySummary } from './types.ts';
import { runVerify } from './verify.ts';

export interface StartVerifyOptions {
  readonly config: Config;
  /** Of this program. */
  readonly version: string;
  readonly log: Log;
  /** A directory; undefined: everything. */
  readonly path: Buffer | undefined;
  /** Requests at the same time. */
  readonly parallel: number;
  readonly checksum: boolean;
  /** Milliseconds: see `VerifyOptions`. */
  readonly settle: number;
  readonly repair: boolean;
  /** A file that gets a line of JSON for every finding. */
  readonly report: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: () => VerifyProgress) => void;
  readonly onFinding: (finding: VerifyFinding) => void;
}

export interface Verified {
  readonly summary: VerifySummary;
  readonly mount: string;
  readonly uuid: string;
  readonly catalog: string;
  /** What was verified, relative to the mount. */
  readonly path: Buffer;
}

/**
 * One verification, with all that it needs: file system, catalog, containers, which must belong together.
 * @throws OperatorError, BlobError: what is wrong, and what to do
 */
export async function startVerify(options: StartVerifyOptions): Promise<Verified> {
  const { config, log, signal } = options;
  mustHaveArchives(config);
  const helper = {
    ...{ mount: config.mount, liblustreapi: config.liblustreapi, helper: config.helper },
    onDiagnostic: (line: string) => log.debug('native helper', { line }),
  };
  const catalog = openCatalog({ file: catalogFile(config.stateDir), cacheBytes: WALK_CACHE });
  const fs = await openFileSystem({ ...helper, xattrs: config.metadata.xattrs }).catch((error: unknown) => {
    catalog.close();
    throw error;
  });
  try {
    const uuid = await fs.readUuid();
    if (uuid === undefined) throw unknown(fs.mount);
    await catalog.claim(uuid);
    const archives = await openOwnStores(config.archives, uuid, signal);
    const announced = await announce(options, fs.mount);
    let report: Report | undefined;
    try {
      report = options.report === undefined ? undefined : await openReport(options.report);
      const target = options.path === undefined ? EVERYTHING : await targetAt(options.path, fs.mount, fs.files);
      const { parallel, checksum, settle, repair, onProgress } = options;
      const summary = await runVerify({
        ...{ catalog, fs, fsUuid: uuid, archives, target, parallel, checksum, settle, repair, onProgress, signal },
        source: new LustreSource(fs, uuid),
        startScanner: () => Scanner.start({ ...helper, mount: fs.mount, threads: config.scan.threads }),
        onFinding: async (finding) => {
          options.onFinding(finding);
          await report?.write(finding);
        },
      });
      return { summary, mount: fs.mount, uuid, catalog: catalog.file, path: target.path };
    } finally {
      await announced?.release();
      await report?.close();
      for (const store of archives.values()) store.close();
    }
  } finally {
    catalog.close();
    await fs.close();
  }
}

/** Lets `status` tell of it. Of several at work one is told of: they don't keep each other from anything. */
async function announce({ config, version, log, path }: StartVerifyOptions, mount: string) {
  const what = path === undefined ? mount : printable(path);
  const hint = '';
  return await lockRun({ directory: config.stateDir, version, name: 'verify', path: what, hint, log }).catch(
    () => undefined,
  );
}

type Report = Awaited<ReturnType<typeof openReport>>;

async function openReport(file: string) {
  const stream = createWriteStream(file, { mode: 0o640 });
  await once(stream, 'open').catch((error: Error) => {
    throw unwritable(file, error);
  });
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error;
  });
  return {
    async write(finding: VerifyFinding): Promise<void> {
      if (failure !== undefined) throw unwritable(file, failure);
      if (stream.write(`${JSON.stringify(findingJson(finding))}\n`)) return;
      await once(stream, 'drain').catch((error: Error) => {
        throw unwritable(file, error);
      });
    },
    async close(): Promise<void> {
      if (failure !== undefined) throw unwritable(file, failure);
      stream.end();
      await finished(stream).catch((error: Error) => {
        throw unwritable(file, error);
      });
    },
  };
}

function unwritable(file: string, cause: Error): OperatorError {
  return new OperatorError(`The report ${file} can’t be written: ${cause.message}.`, {
    ...{ code: 'REPORT_UNWRITABLE', hint: 'Name a file in a directory that exists and has room.', cause },
  });
}

function unknown(mount: string): OperatorError {
  return new OperatorError(`The file system at ${mount} has no UUID of lfsazsync.`, {
    code: 'FILE_SYSTEM_UNKNOWN',
    hint: 'Is the right file system mounted? `lfsazsync scan`, or `lfsazsync setup`, give a new one its UUID.',
  });
}
