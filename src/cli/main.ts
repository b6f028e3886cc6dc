import { styleText } from 'node:util';
import { Errors, run } from '@oclif/core';
import { redact } from '../service/redact.ts';
import { type Failure, failureOf } from './failure.ts';

/**
 * Runs one command line. The one place where errors become text or JSON and an exit code.
 * @param root where package.json is
 * @returns the exit code
 */
export async function main(argv: readonly string[], root: string): Promise<number> {
  try {
    await run([...argv], root);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof Errors.ExitError) return error.oclif.exit ?? 0;
    const failure = failureOf(error);
    if (asksForJson(argv)) process.stdout.write(`${JSON.stringify({ error: failure }, null, 2)}\n`);
    else process.stderr.write(render(failure));
    if (asksForDetail(argv) && error instanceof Error) process.stderr.write(`${redact(error.stack ?? '')}\n`);
    return failure.exit;
  }
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
