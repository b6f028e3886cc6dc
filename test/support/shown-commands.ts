import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './project.ts';

/** A command line that the documents show in a block of commands. */
export interface ShownCommand {
  /** As a shell would read it: continued lines put together, without its comment, and without the `&` at its end. */
  readonly text: string;
  /** `document:line`, wherever it is shown. */
  readonly places: readonly string[];
}

/** What people read to do something; the manifest's examples are in the reference. */
export const REFERENCE = join('docs', 'reference.md');
export const GUIDES: readonly string[] = [
  'README.md',
  join('deploy', 'README.md'),
  ...readdirSync(join(projectRoot, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .filter((name) => name !== REFERENCE)
    .sort(),
];

const PROGRAM = /^\s*(?:\$ )?(?:bin\/)?(?:lfsazsync|npm|systemctl|az|azcopy|lctl|lfs|apt-get)\s/;

/** Every line of the blocks marked `sh`; throws where an unmarked block looks like commands. */
export function shownCommands(documents: readonly string[]): ShownCommand[] {
  const shown = new Map<string, string[]>();
  for (const document of documents) {
    for (const { text, line } of commandsIn(document, readFileSync(join(projectRoot, document), 'utf8')))
      shown.set(text, [...(shown.get(text) ?? []), `${document}:${line}`]);
  }
  return [...shown].map(([text, places]) => ({ text, places }));
}

function commandsIn(document: string, content: string): { text: string; line: number }[] {
  const found: { text: string; line: number }[] = [];
  let block: string | undefined;
  let begun: { text: string; line: number } | undefined;
  content.split('\n').forEach((raw, index) => {
    const fence = /^\s*```(.*)$/.exec(raw);
    if (fence !== null) {
      block = block === undefined ? (fence[1] ?? '') : undefined;
      return;
    }
    if (block === '' && PROGRAM.test(raw) && !raw.endsWith('[FLAGS]'))
      throw new Error(`${document}:${index + 1}: a block of commands is to be marked \`\`\`sh: ${raw}`);
    if (block !== 'sh' || raw.trim() === '') return;
    const line = uncommented(raw);
    const { text, line: at } = begun ?? { text: '', line: index + 1 };
    const whole = `${text} ${line.replace(/\\$/, '').trim()}`.trim();
    begun = line.endsWith('\\') ? { text: whole, line: at } : undefined;
    if (begun === undefined) found.push({ text: whole.replace(/ &$/, ''), line: at });
  });
  return found;
}

/** A line without its comment; a # inside quotes is none. */
function uncommented(line: string): string {
  const [code = ''] = /^(?:'[^']*'|"[^"]*"|(?!\s#).)*/.exec(line) ?? [];
  return code.trim();
}
