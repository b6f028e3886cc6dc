import { type CommandOf, flagForm, usageOf } from './command-line.ts';

/** docs/reference.md's generated part: every command, from the manifest. */
export function referenceMarkdown(commands: readonly CommandOf[]): string {
  const global = commands[0]?.flags.filter((flag) =>
    commands.every(({ flags }) => flags.some(({ name }) => name === flag.name)),
  );
  const common = new Set(global?.map(({ name }) => name));
  return `${commands.map((command) => section(command, common)).join('\n')}`;
}

function section(command: CommandOf, common: ReadonlySet<string>): string {
  const { id, summary, description, args, flags, examples } = command;
  const own = flags.filter(({ name }) => !common.has(name));
  const rows = [
    ...args.map((arg): [string, string] => [`\`${arg.name.toUpperCase()}\``, arg.description ?? '']),
    ...own.map((flag): [string, string] => [`\`${formOf(flag)}\``, notes(flag)]),
  ];
  return [
    `## \`lfsazsync ${id}\``,
    '',
    `${summary}.${description === '' ? '' : ` ${description}`}`,
    '',
    '```',
    usageOf(command),
    '```',
    '',
    ...(rows.length === 0
      ? []
      : ['| | |', '|---|---|', ...rows.map(([name, text]) => `| ${cell(name)} | ${cell(text)} |`), '']),
    ...(examples.length === 0 ? [] : ['```sh', ...examples, '```', '']),
  ].join('\n');
}

function formOf(flag: CommandOf['flags'][number]): string {
  const { names, value } = flagForm(flag);
  return `${names.join(', ')}${value === undefined ? '' : ` ${value}`}`;
}

function notes({ description = '', options, helpValue, multiple, required }: CommandOf['flags'][number]): string {
  const choices = options !== undefined && helpValue !== undefined ? `: ${options.join(', ')}` : '';
  const remarks = [...(required === true ? ['required'] : []), ...(multiple === true ? ['can be repeated'] : [])];
  return `${description}${choices}${remarks.length === 0 ? '' : ` (${remarks.join(', ')})`}`;
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
