import { EXIT, type ExitName } from '../../src/service/exit-code.ts';
import { type CommandOf, flagForm, PROGRAM, usageOf } from './command-line.ts';

/** One manual page (roff, section 1) for each command, and one for the program; by file name. */
export function manPages(commands: readonly CommandOf[], version: string): Map<string, string> {
  const pages = new Map<string, string>([[`${PROGRAM}.1`, programPage(commands, version)]]);
  for (const command of commands) pages.set(`${pageName(command.id)}.1`, commandPage(command, version));
  return pages;
}

const pageName = (id: string) => `${PROGRAM}-${id.replaceAll(' ', '-')}`;

function programPage(commands: readonly CommandOf[], version: string): string {
  return [
    ...head(PROGRAM, 'keeps a Lustre file system and an Azure Blob container in step', version),
    '.SH SYNOPSIS',
    `.B ${PROGRAM}`,
    roff('COMMAND [ARGUMENT...] [FLAGS]'),
    '.SH COMMANDS',
    ...commands.flatMap(({ id, summary }) => ['.TP', `.B ${roff(id)}`, roff(summary)]),
    ...exitStatus(),
    '.SH FILES',
    '.TP',
    '.I /etc/lfsazsync/config.yaml',
    'The configuration, unless \\-\\-config or LFSAZSYNC_CONFIG name another.',
    '.TP',
    '.I /var/lib/lfsazsync',
    'The catalog, journals and the audit log (state_dir).',
    '.TP',
    '.I /run/lfsazsync',
    'Locks and control sockets (run_dir).',
    '.SH SEE ALSO',
    commands.map(({ id }) => `.BR ${roff(pageName(id))} (1)`).join(',\n'),
    '',
  ].join('\n');
}

function commandPage(command: CommandOf, version: string): string {
  const { id, summary, description, args, flags, examples } = command;
  return [
    ...head(pageName(id), summary, version),
    '.SH SYNOPSIS',
    `.B ${roff(usageOf(command))}`,
    ...(description === '' ? [] : ['.SH DESCRIPTION', roff(description)]),
    ...(args.length === 0 ? [] : ['.SH ARGUMENTS']),
    ...args.flatMap((arg) => ['.TP', `.I ${roff(arg.name.toUpperCase())}`, roff(arg.description ?? '')]),
    '.SH OPTIONS',
    ...flags.flatMap((flag) => {
      const { names, value } = flagForm(flag);
      const choices = flag.options === undefined || flag.helpValue === undefined ? '' : `: ${flag.options.join(', ')}`;
      const form = `\\fB${names.map(roff).join('\\fR, \\fB')}\\fR${value === undefined ? '' : ` \\fI${roff(value)}\\fR`}`;
      return ['.TP', form, roff(`${flag.description ?? ''}${choices}`)];
    }),
    ...(examples.length === 0 ? [] : ['.SH EXAMPLES', '.nf', ...examples.map(roff), '.fi']),
    ...exitStatus(),
    '.SH SEE ALSO',
    `.BR ${PROGRAM} (1)`,
    '',
  ].join('\n');
}

function head(name: string, summary: string, version: string): string[] {
  return [
    `.TH "${name.toUpperCase()}" "1" "" "${PROGRAM} ${version}" "User Commands"`,
    '.nh',
    '.SH NAME',
    `${roff(name)} \\- ${roff(lowerFirst(summary))}`,
  ];
}

function exitStatus(): string[] {
  return [
    '.SH EXIT STATUS',
    ...(Object.keys(EXIT) as ExitName[]).flatMap((name) => ['.TP', String(EXIT[name].code), roff(EXIT[name].meaning)]),
  ];
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

/** Text as roff prints it: no escapes, no requests, hyphens that can be copied. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .split('\n')
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join('\n.br\n');
}
