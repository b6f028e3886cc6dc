import { styleText } from 'node:util';
import { Config, Errors, run, settings } from '@oclif/core';
import { closest } from '../service/closest.ts';
import { OperatorError } from '../service/errors.ts';
import { redact } from '../service/redact.ts';
import { type Failure, failureOf } from './failure.ts';

/**
 * Runs one command line. The one place where errors become text or JSON and an exit code.
 * @param root where package.json is
 * @returns the exit code
 */
export async function main(argv: readonly string[], root: string): Promise<number> {
  // Only what was built runs; under NODE_ENV=test or development oclif would look for TypeScript and its sources.
  settings.enableAutoTranspile = false;
  try {
    await run([...argv], loadOptions(root));
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof Errors.ExitError) return error.oclif.exit ?? 0;
    const failure = failureOf((await unknownCommand(error, root)) ?? error);
    if (asksForJson(argv)) process.stdout.write(`${JSON.stringify({ error: failure }, null, 2)}\n`);
    else process.stderr.write(render(failure));
    if (asksForDetail(argv) && error instanceof Error) process.stderr.write(`${redact(error.stack ?? '')}\n`);
    return failure.exit;
  }
}

/** Without plugins: oclif would look for them in the user's home, which may be out of reach. */
function loadOptions(root: string) {
  return { root, userPlugins: false, devPlugins: false };
}

/** oclif's 'command a:b not found' in the operator's spelling, with the command that was meant. */
async function unknownCommand(error: unknown, root: string): Promise<OperatorError | undefined> {
  const id = error instanceof Error ? /^command (\S+) not found$/.exec(error.message)?.[1] : undefined;
  if (id === undefined) return undefined;
  const spelt = (command: string) => command.replaceAll(':', ' ');
  const meant = closest(id, await commandNames(root));
  return new OperatorError(`there is no command '${spelt(id)}'`, {
    code: 'USAGE',
    exit: 'usage',
    hint: meant === undefined ? "'lfsazsync --help' lists the commands." : `Did you mean 'lfsazsync ${spelt(meant)}'?`,
  });
}

async function commandNames(root: string): Promise<string[]> {
  const { commandIDs, topics } = await Config.load(loadOptions(root));
  return [...commandIDs, ...topics.map((topic) => topic.name)];
}

function render(failure: Failure): string {
  const label = (text: string, colour: 'red' | 'cyan') => styleText(colour, text, { stream: process.stderr });
  const lines = [`${label('error:', 'red')} ${failure.message}`];
  if (failure.hint !== undefined) lines.push(`${label('hint:', 'cyan')} ${failure.hint}`);
  return `${lines.join('\n')}\n`;
}

function asksForJson(argv: readonly string[]): boolean {
  return flagsOf(argv).includes('--json');
}

function asksForDetail(argv: readonly string[]): boolean {
  return /--log-level[ =](debug|trace)\b/.test(flagsOf(argv).join(' '));
}

function flagsOf(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}
