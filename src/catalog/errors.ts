import { OperatorError } from '../service/errors.ts';

/** What SQLite calls the matter (primary result codes; the low byte of the extended ones). */
const SQLITE = {
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  NOTADB: 26,
} as const;

/** Extended codes of SQLITE_IOERR that are a full disk in disguise: the index of the log could not grow. */
const IOERR_SHMSIZE = 4874;

interface SqliteError extends Error {
  readonly errcode: number;
  readonly errstr: string;
}

const isSqliteError = (error: unknown): error is SqliteError =>
  error instanceof Error && typeof (error as SqliteError).errcode === 'number';

/** What the codes of the catalog's errors are; `isCatalogError` asks for them. */
export type CatalogErrorCode =
  | 'CATALOG_BUSY'
  | 'CATALOG_DAMAGED'
  | 'CATALOG_FULL'
  | 'CATALOG_IO'
  | 'CATALOG_MISSING'
  | 'CATALOG_NEWER'
  | 'CATALOG_OLDER'
  | 'CATALOG_OTHER_FILE'
  | 'CATALOG_OTHER_FILE_SYSTEM'
  | 'CATALOG_READ_ONLY'
  | 'CATALOG_REPLACED'
  | 'CATALOG_UNUSABLE';

export function isCatalogError(error: unknown, ...codes: readonly CatalogErrorCode[]): error is OperatorError {
  return error instanceof OperatorError && (codes as readonly string[]).includes(error.code);
}

/** An error of SQLite in the operator's words; every other error as it is. */
export function catalogError(error: unknown, file: string): unknown {
  if (!isSqliteError(error)) return error;
  const cause = { cause: error } as const;
  switch (error.errcode & 0xff) {
    case SQLITE.FULL:
      return diskFull(file, error);
    case SQLITE.CORRUPT:
    case SQLITE.NOTADB:
      return damaged(file, error.message, error);
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
      return new OperatorError(`The catalog ${file} is being written by another process.`, {
        code: 'CATALOG_BUSY',
        hint: 'Try again in a moment. If it stays so, `fuser` on the file names who holds it.',
        exit: 'tryAgain',
        ...cause,
      });
    case SQLITE.READONLY:
    case SQLITE.PERM:
      return new OperatorError(`The catalog ${file} can't be written: ${error.message}.`, {
        code: 'CATALOG_READ_ONLY',
        hint: 'Is the file system with the state directory mounted read-only, or does the file belong to another user?',
        ...cause,
      });
    case SQLITE.IOERR:
      if (error.errcode === IOERR_SHMSIZE) return diskFull(file, error);
      return new OperatorError(`The catalog ${file} can't be read or written: ${error.message}.`, {
        code: 'CATALOG_IO',
        hint: 'Look at the kernel’s log for errors of the disk. Nothing that was acknowledged is lost.',
        ...cause,
      });
    case SQLITE.CANTOPEN:
      return new OperatorError(`The catalog ${file} can't be opened: ${error.message}.`, {
        code: 'CATALOG_UNUSABLE',
        hint: 'Does its directory exist, and may this user write there?',
        ...cause,
      });
    default:
      return error;
  }
}

function diskFull(file: string, cause: unknown): OperatorError {
  return new OperatorError(`The disk with the catalog ${file} is full.`, {
    code: 'CATALOG_FULL',
    hint: 'Make room there. Nothing is lost: what could not be written is still in the changelog, and is taken up again.',
    cause,
  });
}

/** The catalog's file is not what it was when we wrote it. */
export function damaged(file: string, what: string, cause?: unknown): OperatorError {
  return new OperatorError(`The catalog ${file} is damaged (${what}).`, {
    code: 'CATALOG_DAMAGED',
    hint: 'Stop the services and run `lfsazsync scan`: it sets the damaged file aside and builds a new one from the file system. Have the disk looked at.',
    ...(cause === undefined ? {} : { cause }),
  });
}
