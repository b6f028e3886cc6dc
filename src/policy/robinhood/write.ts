import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { stringify } from 'yaml';
import { OperatorError } from '../../service/errors.ts';
import type { Conversion } from './convert.ts';
import type { Finding } from './report.ts';

const HEAD = (
  source: string,
) => `# Made by 'lfsazsync config import-robinhood' from ${source}. Check it with 'lfsazsync config validate'.
# What is still missing: the containers behind the archive ids, and how to sign in (docs/configuration.md):
#
# archives:
#   1:
#     endpoint: https://your-account.blob.core.windows.net
#     container: your-container
#     credential: {type: managed_identity}
`;

/** The converted configuration as the text of a file. */
export function convertedText({ config, findings }: Conversion, source: string): string {
  const open = findings.filter(({ outcome }) => outcome === 'missing' || outcome === 'different');
  const notes = open.map(
    (finding) => `#   ${oneLine(`${placeOf(finding, source)}: ${finding.what}: ${finding.why}`)}\n`,
  );
  const told = notes.length === 0 ? '' : `#\n# Not done, or done in another way:\n${notes.join('')}`;
  const head = HEAD(oneLine(source)) + told;
  return `${head}\n${stringify(config, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

/** The line, with the file's name where it is an included one. */
export const placeOf = ({ file, line }: Finding, source: string): string =>
  file === source ? `line ${line}` : `${basename(file)}, line ${line}`;

/** A name may hold anything: a comment stays one. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');

/** Writes a new file. @throws OperatorError when there is one already */
export async function writeNew(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o640);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const exists = code === 'EEXIST';
    throw new OperatorError(exists ? `${file} exists already` : `can't write ${file}: ${code}`, {
      code: exists ? 'CONFIG_EXISTS' : 'OUTPUT',
      exit: 'usage',
      hint: exists ? 'Name another file: an existing one is not replaced.' : 'Does its directory exist?',
      cause,
    });
  }
}
