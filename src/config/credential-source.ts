import { readFile, stat } from 'node:fs/promises';
import { OperatorError } from '../service/errors.ts';
import { Secret } from '../service/secret.ts';
import type { Config } from './types.ts';

/** Where a secret is kept: a file or an environment variable. */
export interface SecretSource {
  readonly file?: string | undefined;
  readonly env?: string | undefined;
}

/**
 * Reads a secret afresh, so that one renewed in its file is seen. Surrounding white space is dropped.
 * @throws OperatorError (exit `notAuthorised`) when there is none
 */
export async function readSecret(
  source: SecretSource,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Secret> {
  const text = source.file === undefined ? (env[source.env ?? ''] ?? '') : await readSecretFile(source.file);
  const value = text.trim();
  if (value !== '') return new Secret(value);
  throw new OperatorError(`the credential is empty: ${describeSource(source)}`, {
    code: 'CREDENTIAL_MISSING',
    exit: 'notAuthorised',
    hint: 'Put the secret there, or name another place in the credential of the archive.',
  });
}

/** The place for people, never the secret. */
export function describeSource(source: SecretSource): string {
  return source.file === undefined ? `environment variable ${source.env}` : `file ${source.file}`;
}

async function readSecretFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new OperatorError(`can't read the credential file ${file}: ${code === 'ENOENT' ? 'no such file' : code}`, {
      code: 'CREDENTIAL_MISSING',
      exit: 'notAuthorised',
      hint: 'Write the secret into it with mode 0600, or correct the path in the credential of the archive.',
      cause,
    });
  }
}

/** What is odd about the places of the secrets: absent, or readable by everybody. */
export async function credentialWarnings(
  config: Config,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string[]> {
  const warnings: string[] = [];
  for (const { id, credential } of config.archives.values()) {
    if (!('file' in credential || 'env' in credential)) continue;
    const prefix = `archive ${id}: the credential's ${describeSource(credential)}`;
    if (credential.file === undefined) {
      if ((env[credential.env ?? ''] ?? '') === '') warnings.push(`${prefix} is not set`);
      continue;
    }
    try {
      const { mode } = await stat(credential.file);
      if ((mode & 0o077) !== 0) warnings.push(`${prefix} can be read by others: run 'chmod 600 ${credential.file}'`);
    } catch (error) {
      warnings.push(`${prefix} can't be read: ${(error as NodeJS.ErrnoException).code}`);
    }
  }
  return warnings;
}
