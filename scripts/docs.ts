import { join } from 'node:path';
import { type ConfigKey, configKeys } from '../src/config/keys.ts';
import { COMMON_DEFAULTS, RULE_DEFAULTS } from '../src/config/policy-defaults.ts';
import { EXIT } from '../src/service/exit-code.ts';
import { commandsOf } from './reference/command-line.ts';
import { referenceMarkdown } from './reference/markdown.ts';

/** The documents with parts made from the code: between `<!-- generated -->` and `<!-- /generated -->`. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': settingsTable,
  'docs/exit-codes.md': exitCodesTable,
  'docs/reference.md': () => referenceMarkdown(commandsOf(join(import.meta.dirname, '../oclif.manifest.json'))),
};

/** The document with its generated part made anew. */
export function regenerate(document: string, content: string): string {
  const pattern = /(<!-- generated -->\n)[\s\S]*?(<!-- \/generated -->)/;
  if (!pattern.test(document)) throw new Error('the document has no <!-- generated --> part');
  return document.replace(pattern, (_, start: string, end: string) => `${start}\n${content}\n${end}`);
}

/** A table for each section of the configuration, in its order; what stands alone comes first. */
function settingsTable(): string {
  const sections = Map.groupBy(configKeys(), ({ path }) => (path.length === 1 ? 'General' : `\`${path[0]}\``));
  return [...sections]
    .map(
      ([title, keys]) =>
        `### ${title}\n\n${table(['setting', 'meaning', 'default', 'environment'], keys.map(settingRow))}`,
    )
    .join('\n');
}

function settingRow(key: ConfigKey): string[] {
  const choices = key.choices === undefined ? '' : `: ${key.choices.map((word) => `\`${word}\``).join(', ')}`;
  return [
    `\`${key.path[0] === 'archives' ? key.path.join('.').replace('*', 'ID') : key.path.join('.')}\``,
    `${key.description}${choices}`,
    defaultOf(key),
    key.env === undefined ? '' : `\`${key.env}\``,
  ];
}

function defaultOf(key: ConfigKey): string {
  const ofPolicies = policyDefault(key.path);
  if (ofPolicies !== undefined) return ofPolicies;
  if (key.required) return 'required';
  return key.defaultText === undefined || key.defaultText === '' ? '' : `\`${key.defaultText}\``;
}

/** Policies are filled in before they are checked: their keys have no defaults of their own. */
function policyDefault([section, , ...path]: readonly string[]): string | undefined {
  if (section !== 'policies') return undefined;
  const [key] = path.slice(-1);
  let value: unknown = path[0] === 'rules' ? (RULE_DEFAULTS as Record<string, unknown>)[key ?? ''] : COMMON_DEFAULTS;
  if (path[0] !== 'rules') for (const part of path) value = (value as Record<string, unknown> | undefined)?.[part];
  if (value !== undefined) return Array.isArray(value) ? '' : `\`${value}\``;
  return key === 'sort' || key === 'target_class' ? '' : undefined;
}

function exitCodesTable(): string {
  return table(
    ['code', 'meaning'],
    Object.values(EXIT).map(({ code, meaning }) => [String(code), meaning]),
  );
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), `|${header.map(() => '---|').join('')}`, ...rows.map(line), ''].join('\n');
}
