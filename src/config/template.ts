import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OperatorError } from '../service/errors.ts';
import { type ConfigKey, configKeys } from './keys.ts';
import type { ArchiveConfig } from './types.ts';

/** To be replaced by the operator. They are valid, and name nothing: an account has no hyphen in its name. */
const PLACEHOLDERS = { endpoint: 'https://your-account.blob.core.windows.net', container: 'your-container' } as const;

/** What is still as the template has it, one sentence a setting. */
export function placeholderWarnings(archives: ReadonlyMap<number, ArchiveConfig>): string[] {
  return [...archives].flatMap(([id, archive]) =>
    (['endpoint', 'container'] as const)
      .filter((key) => archive[key] === PLACEHOLDERS[key])
      .map((key) => `archives.${id}.${key} is still the template's (${archive[key]}): fill in your own`),
  );
}

const HEAD = `# Configuration of lfsazsync. 'lfsazsync config validate' checks it, 'lfsazsync config show' prints what is in force.
# Lines that are commented out show the defaults. Sizes: 16MiB, 10G. Durations: 30s, 5m, 1h30m.

# The mount point of the Lustre client.
mount: /mnt/lustre

# HSM archive ids and the containers behind them. Secrets never go into this file: a credential names a file (mode 0600)
# or an environment variable.
archives:
  1:
    endpoint: ${PLACEHOLDERS.endpoint}
    container: ${PLACEHOLDERS.container}
    credential:
      type: managed_identity
      # type: sas
      # file: /etc/lfsazsync/sas
`;

/** A commented configuration that is valid, with placeholders for the account and the container. */
export function configTemplate(): string {
  const keys = configKeys();
  const archive = keys.filter(
    (key) =>
      key.path[0] === 'archives' &&
      key.path.length === 3 &&
      !/^(endpoint|container|credential)$/.test(key.path[2] ?? ''),
  );
  const rest = keys.filter((key) => !key.path.includes('*') && key.path[0] !== 'mount');
  const lines = [HEAD.trimEnd()];
  for (const key of archive) lines.push(...setting(key, '    '));
  let section = '';
  for (const key of rest) {
    const [first = ''] = key.path;
    if (key.path.length === 1) lines.push('', ...setting(key, ''));
    else {
      if (section !== first) lines.push('', `# ${first}:`);
      section = first;
      lines.push(...setting(key, '#   ', ''));
    }
  }
  return `${lines.join('\n')}\n${POLICIES}`;
}

const POLICIES = `
# What is archived, released and removed automatically: docs/policies.md. If nothing is set here, files are archived when
# they have not been modified for 30 minutes; released from OSTs that are 85 % full or more, down to 80 %, longest unused
# first, when they have not been used for a day (files up to 16MB: a year); and the copies of removed files are removed
# after 5 minutes.

# classes:
#   small_files:
#     definition: type == file and size > 0 and size <= 16MB

# policies:
#   archive:
#     rate_limit:
#       files: 1000
#       period: 10s
`;

function setting(key: ConfigKey, indent: string, comment = '# '): string[] {
  const choices = key.choices === undefined ? '' : ` (${key.choices.join(', ')})`;
  const text = `${indent}# ${key.description}${choices}`;
  const value = key.defaultText === '' ? "''" : (key.defaultText ?? '');
  return [text, `${indent}${comment}${key.path.at(-1)}:${value === '' ? '' : ` ${value}`}`];
}

/**
 * Writes the commented configuration, readable by its owner and group. An existing file is left alone unless `force`,
 * which replaces it as a whole.
 */
export async function writeTemplate(options: { readonly file: string; readonly force: boolean }): Promise<void> {
  await mkdir(dirname(options.file), { recursive: true });
  const target = options.force ? `${options.file}.${process.pid}.new` : options.file;
  try {
    const handle = await open(target, 'wx', 0o640);
    try {
      await handle.writeFile(configTemplate());
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (options.force) await rename(target, options.file);
  } catch (cause) {
    if (options.force) await rm(target, { force: true });
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new OperatorError(`${options.file} exists already`, {
      code: 'CONFIG_EXISTS',
      exit: 'usage',
      hint: 'Give --force to replace it, or another FILE.',
      cause,
    });
  }
}
