import { mkdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { ErrnoError } from './errors.ts';
import { isNoRoom } from './no-room.ts';
import { redact } from './redact.ts';

const NEWLINE = 0x0a;

/** One change that took something away: what, which, and why it was allowed. */
export interface AuditEntry {
  /** `unlink`: a name in Lustre, for the sake of what the blob of that name is, or is not any more. */
  readonly action: 'delete' | 'overwrite' | 'unlink';
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
  /**
   * Opens the file again, after logrotate has moved it away. Rejects with the system's error when it can't be opened;
   * that is tried again with each line.
   */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens an audit log for appending; it is made, with its folder, when absent, readable by its owner only. When there is
 * no room to make it, that is told to `onNoRoom`, and it is tried again with each line.
 * @throws the system's error when it can't be opened for another reason
 */
export async function openAuditLog(file: string, onNoRoom?: (error: unknown) => void): Promise<AuditLog> {
  let handle: FileHandle | undefined;
  let waiting: { line: string; done: () => void; failed: (error: unknown) => void }[] = [];
  let tasks: (() => Promise<void>)[] = [];
  let working = false;
  /** The last line has no end: it was cut off by a full disk. */
  let torn = false;

  const opened = async (): Promise<FileHandle> => {
    if (handle === undefined) {
      mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
      const fresh = await open(file, 'a+', 0o600);
      try {
        torn = await endsTorn(fresh);
      } catch (error) {
        await fresh.close();
        throw error;
      }
      handle = fresh;
    }
    return handle;
  };
  const write = async (batch: typeof waiting): Promise<void> => {
    try {
      const to = await opened();
      const text = `${torn ? '\n' : ''}${batch.map(({ line }) => line).join('')}`;
      torn = true;
      await to.appendFile(text);
      torn = false;
      await to.datasync();
      for (const { done } of batch) done();
    } catch (error) {
      const refusal = refused(file, error);
      for (const { failed } of batch) failed(refusal);
    }
  };
  /** One thing at a time, so that nobody closes a file that another is writing to. */
  const work = async (): Promise<void> => {
    if (working) return;
    working = true;
    while (waiting.length > 0 || tasks.length > 0) {
      const [batch, then] = [waiting, tasks];
      waiting = [];
      tasks = [];
      if (batch.length > 0) await write(batch);
      for (const task of then) await task();
    }
    working = false;
  };
  const inTurn = (task: () => Promise<void>): Promise<void> =>
    new Promise((done, failed) => {
      tasks.push(() => task().then(done, failed));
      void work();
    });

  try {
    await opened();
  } catch (error) {
    if (!isNoRoom(error)) throw error;
    onNoRoom?.(error);
  }
  return {
    record: (entry) =>
      new Promise((done, failed) => {
        const line = `${redact(JSON.stringify({ time: new Date().toISOString(), pid: process.pid, ...entry }))}\n`;
        waiting.push({ line, done, failed });
        void work();
      }),
    reopen: () =>
      inTurn(async () => {
        const old = handle;
        // Were it kept when the new one can't be made, lines would go to a file that is packed and thrown away.
        handle = undefined;
        await old?.close();
        await opened();
      }),
    close: () => inTurn(async () => await handle?.close()),
  };
}

async function endsTorn(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer[0] !== NEWLINE;
}

function refused(file: string, error: unknown): ErrnoError {
  const { errno, message } = error as NodeJS.ErrnoException;
  return new ErrnoError(
    Math.abs(errno ?? constants.errno.EIO),
    'audit log',
    `the audit log ${file} can't be written (${message}), so nothing was deleted or overwritten${isNoRoom(error) ? ': make room there' : ''}`,
  );
}
