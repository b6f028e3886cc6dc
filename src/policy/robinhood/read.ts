import { readFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { OperatorError } from '../../service/errors.ts';
import { parseRobinhood, type RhBlock, type RhItem, type RhSetting } from './parser.ts';
import type { Finding } from './report.ts';

/** As many as Robinhood follows. */
const DEEPEST = 10;

export interface RobinhoodConfig {
  readonly blocks: readonly RhBlock[];
  /** What stands outside of blocks. */
  readonly strays: readonly RhSetting[];
  /** What became of the includes. */
  readonly findings: readonly Finding[];
}

/**
 * Reads a Robinhood configuration with its includes. One that can't be read is told, and left out; `lhsm.inc`, which
 * defines the policies of Lustre/HSM and comes with Robinhood, is known and need not be there.
 * @throws OperatorError for the file itself, and for what is no configuration of Robinhood's
 */
export async function readRobinhood(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<RobinhoodConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new OperatorError(`can't read ${file}: ${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}`, {
      code: 'ROBINHOOD_UNREADABLE',
      exit: 'usage',
      hint: 'Name the file that `robinhood -f` is given, such as /etc/robinhood.d/lustre.conf.',
      cause,
    });
  }
  const findings: Finding[] = [];
  const items = await withIncludes(parseRobinhood(text, file, environment), [file], environment, findings);
  return {
    blocks: items.filter((item) => item.kind === 'block'),
    strays: items.filter((item) => item.kind === 'setting'),
    findings,
  };
}

async function withIncludes(
  items: readonly RhItem[],
  way: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  findings: Finding[],
): Promise<RhItem[]> {
  const all: RhItem[] = [];
  for (const item of items) {
    if (item.kind === 'block') {
      all.push({ ...item, items: await withIncludes(item.items, way, environment, findings) });
    } else if (item.kind !== 'include') all.push(item);
    else {
      const told = (outcome: Finding['outcome'], why: string) =>
        findings.push({ file: item.file, line: item.line, what: `%include "${item.target}"`, outcome, why });
      const target = item.target.startsWith('$') ? (environment[item.target.slice(1)] ?? item.target) : item.target;
      const path = isAbsolute(target) ? target : join(dirname(item.file), target);
      if (basename(target) === 'lhsm.inc') {
        told(
          'converted',
          'its policies lhsm_archive, lhsm_release and lhsm_remove are archive, release and remove here',
        );
        continue;
      }
      if (way.includes(path) || way.length > DEEPEST) {
        told('missing', 'it includes itself, or includes are nested too deeply');
        continue;
      }
      const text = await readFile(path, 'utf8').catch(() => undefined);
      if (text === undefined) {
        told('missing', `${path} can't be read: what it says is not converted`);
        continue;
      }
      told('converted', 'read in its place');
      all.push(...(await withIncludes(parseRobinhood(text, path, environment), [...way, path], environment, findings)));
    }
  }
  return all;
}
