import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CommandOf, commandsOf } from '../../scripts/reference/command-line.ts';
import { NOT_EXECUTED, SCRIPT } from '../support/docs-script.ts';
import { projectRoot } from '../support/project.ts';
import { GUIDES, REFERENCE, shownCommands } from '../support/shown-commands.ts';

const commands = commandsOf(join(projectRoot, 'oclif.manifest.json'));
const topics = new Set(commands.flatMap(({ id }) => prefixesOf(id)));
const documents = [
  'README.md',
  ...['docs', 'deploy'].flatMap((folder) =>
    readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  ),
];

interface Mention {
  readonly line: number;
  readonly text: string;
  /** The words after the program's name. */
  readonly words: readonly string[];
}

/** Every `lfsazsync …` in code, inline or in a block: as it stands, up to where a shell would end the command. */
function mentionsIn(document: string): Mention[] {
  const found: Mention[] = [];
  let inBlock = false;
  document.split('\n').forEach((text, index) => {
    if (/^\s*```/.test(text)) {
      inBlock = !inBlock;
      return;
    }
    const pieces = inBlock ? [text] : [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
    for (const piece of pieces) {
      for (const [, command = ''] of piece.matchAll(/(?:^|[\s("/])lfsazsync((?: +[^\s|;&<>)#]+)+)/g)) {
        const words = command
          .trim()
          .split(/ +/)
          .map((word) => word.replace(/^['"]|['",.:]+$/g, ''));
        found.push({ line: index + 1, text: `lfsazsync ${words.join(' ')}`, words });
      }
    }
  });
  return found;
}

function prefixesOf(id: string): string[] {
  const words = id.split(' ');
  return words.map((_, index) => words.slice(0, index + 1).join(' '));
}

/** What is wrong with a command line that a document shows; undefined: nothing. */
function problemOf(words: readonly string[]): string | undefined {
  // Flags of the program itself, and a path that happens to end in its name.
  if (/^[-/]/.test(words[0] ?? '')) return undefined;
  let length = 0;
  while (length < words.length && topics.has(words.slice(0, length + 1).join(' '))) length += 1;
  if (length === 0) return 'there is no such command';
  const id = words.slice(0, length).join(' ');
  const command = commands.find((one) => one.id === id);
  if (command === undefined)
    return words.length > length && !/^[-…[A-Z.]/.test(words[length] ?? '')
      ? `there is no command ${id} ${words[length]}`
      : undefined;
  return words
    .slice(length)
    .map((word) => flagProblem(command, word))
    .find((problem) => problem !== undefined);
}

function flagProblem({ id, flags }: CommandOf, word: string): string | undefined {
  const [, long, short] = /^\[?(?:--(?:no-)?([a-z0-9][\w-]*)|-([a-zA-Z]+)$)/.exec(word) ?? [];
  if (long !== undefined && long !== 'help' && !flags.some(({ name }) => name === long))
    return `${id} has no flag --${long}`;
  const unknown = [...(short ?? '')].find((char) => char !== 'h' && !flags.some((flag) => flag.char === char));
  return unknown === undefined ? undefined : `${id} has no flag -${unknown}`;
}

describe('commands that the documents show', () => {
  it.each(documents)('%s', (name) => {
    const wrong = mentionsIn(readFileSync(join(projectRoot, name), 'utf8')).flatMap(({ line, text, words }) => {
      const problem = problemOf(words);
      return problem === undefined ? [] : [`${name}:${line}: ${text}: ${problem}`];
    });
    expect(wrong).toEqual([]);
  });

  it('are many', () => {
    const all = documents.flatMap((name) => mentionsIn(readFileSync(join(projectRoot, name), 'utf8')));
    expect(all.length).toBeGreaterThan(50);
    expect(problemOf(['archive', '--recursive', '--such-flag'])).toBe('archive has no flag --such-flag');
    expect(problemOf(['archivee'])).toBe('there is no such command');
    expect(problemOf(['journal', 'lost'])).toBe('there is no command journal lost');
  });
});

describe('each line of a block of commands', () => {
  const shown = shownCommands([...GUIDES, REFERENCE]);
  const planned = [
    ...SCRIPT.flatMap(({ lines }) => Object.keys(lines)),
    ...NOT_EXECUTED.flatMap(({ commands: listed }) => listed),
  ];

  it('is executed by a test, or listed with the reason why it can not be', () => {
    const left = shown.filter(({ text }) => !planned.includes(text));
    expect(left.map(({ text, places }) => `${places.join(', ')}: ${text}`)).toEqual([]);
  });

  it('is executed as it is shown: nothing is executed that no document shows', () => {
    expect(planned.filter((line) => !shown.some(({ text }) => text === line))).toEqual([]);
    expect(new Set(planned).size).toBe(planned.length);
    expect(SCRIPT.flatMap(({ lines }) => Object.keys(lines)).length).toBeGreaterThan(100);
  });
});

it('all commands but the running copytool and metrics take --json', () => {
  const without = commands.filter(({ flags }) => !flags.some(({ name }) => name === 'json'));
  expect(without.map(({ id }) => id)).toEqual(['copytool', 'metrics']);
});
