import { mkdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { ErrnoError } from './errors.ts';
import { redact } from './redact.ts';

/** One change that took something away: what, which, and why it was allowed. */
export interface AuditEntry {
  readonly action: 'delete' | 'overwrite';
  readonly archive: number;
  readonly blob: string;
  /** Of the blob that is gone, as far as known. */
  readonly etag?: string | undefined;
  readonly fs?: string | undefined;
  readonly fid?: string | undefined;
  readonly generation?: string | undefined;
  readonly reason: string;
}

/** Deletions and overwrites, one JSON line each. */
export interface AuditLog {
  /**
   * Resolves once the line is on the disk. Lines asked for at the same time share one sync. Rejects with an ErrnoError
   * when it can't be written: then what it is about must not be done.
   */
  record(entry: AuditEntry): Promise<void>;
  /** Opens the file again, after logrotate has moved it away. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** Opens an audit log for appending; it is made, with its folder, when absent, readable by its owner only. */
export async function openAuditLog(file: string): Promise<AuditLog> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
  let handle: FileHandle = await open(file, 'a', 0o600);
  let waiting: { line: string; done: () => void; failed: (error: unknown) => void }[] = [];
  let writing: Promise<void> | undefined;
  /** The last batch may have been cut off in the middle of a line. */
  let torn = false;

  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await handle.appendFile(`${torn ? '\n' : ''}${batch.map(({ line }) => line).join('')}`);
        torn = false;
        await handle.datasync();
        for (const { done } of batch) done();
      } catch (error) {
        torn = true;
        const refusal = refused(file, error);
        for (const { failed } of batch) failed(refusal);
      }
    }
  };
  const start = (): Promise<void> => {
    writing ??= drain().finally(() => {
      writing = undefined;
    });
    return writing;
  };

  return {
    record: (entry) =>
      new Promise((done, failed) => {
        const line = `${redact(JSON.stringify({ time: new Date().toISOString(), pid: process.pid, ...entry }))}\n`;
        waiting.push({ line, done, failed });
        void start();
      }),
    reopen: async () => {
      await start();
      const old = handle;
      handle = await open(file, 'a', 0o600);
      await old.close();
    },
    close: async () => {
      await start();
      await handle.close();
    },
  };
}

function refused(file: string, error: unknown): ErrnoError {
  const { errno, message } = error as NodeJS.ErrnoException;
  return new ErrnoError(
    Math.abs(errno ?? constants.errno.EIO),
    'audit log',
    `the audit log ${file} can't be written (${message}), so nothing was deleted or overwritten: make room there`,
  );
}
