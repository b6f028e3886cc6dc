import { BlobError, type BlobErrorDetails } from '../blob/errors.ts';
import type { PlainError } from './protocol.ts';

const DETAILS = [
  'code',
  'hint',
  'status',
  'azureCode',
  'requestId',
  'retriable',
  'retryAfter',
  'authReason',
  'ambiguous',
] as const;

/** An error in a form that goes from thread to thread: a class would be lost on the way. */
export function toPlainError(error: unknown): PlainError {
  if (error instanceof BlobError) {
    const details = Object.fromEntries(
      DETAILS.map((key) => [key, error[key]]).filter(([, value]) => value !== undefined),
    );
    return { is: 'blob', message: error.message, details };
  }
  if (!(error instanceof Error)) return { is: 'other', name: 'Error', message: String(error), stack: undefined };
  const { name, message, stack } = error;
  const { code, errno, syscall } = error as NodeJS.ErrnoException;
  if (syscall !== undefined) return { is: 'system', message, code, errno, syscall };
  return { is: 'other', name, message, stack };
}

/** The error again: a BlobError, an error of a system call, or any other. */
export function fromPlainError(plain: PlainError): Error {
  switch (plain.is) {
    case 'blob':
      return new BlobError(plain.message, plain.details as unknown as BlobErrorDetails);
    case 'system': {
      const { message, code, errno, syscall } = plain;
      return Object.assign(new Error(message), { code, errno, syscall });
    }
    case 'other': {
      const error = new Error(plain.message);
      error.name = plain.name;
      if (plain.stack !== undefined) error.stack = plain.stack;
      return error;
    }
  }
}
