// generate-reference.ts DIR: writes manual pages (man1/) and completions (completions/) for packages.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commandsOf } from './reference/command-line.ts';
import { completions } from './reference/completions.ts';
import { manPages } from './reference/man.ts';

const root = join(import.meta.dirname, '..');
const directory = process.argv[2];
if (directory === undefined) throw new Error('usage: generate-reference.ts DIR');
const commands = commandsOf(join(root, 'oclif.manifest.json'));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
for (const [folder, files] of [
  ['man1', manPages(commands, version)],
  ['completions', completions(commands)],
] as const) {
  for (const [name, content] of files) {
    const path = join(directory, folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}
