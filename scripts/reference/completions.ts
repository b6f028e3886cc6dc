import { type CommandOf, PROGRAM } from './command-line.ts';

/** What can follow the words typed so far. */
interface Node {
  /** The words up to here, after the program's name. */
  readonly path: string;
  readonly words: readonly string[];
  readonly command: CommandOf | undefined;
}

/** Completion scripts, by the name under which their shell looks for them. */
export function completions(commands: readonly CommandOf[]): Map<string, string> {
  const nodes = nodesOf(commands);
  return new Map([
    [`bash/${PROGRAM}`, bash(nodes)],
    [`zsh/_${PROGRAM}`, zsh(nodes)],
    [`fish/${PROGRAM}.fish`, fish(nodes, commands)],
  ]);
}

function nodesOf(commands: readonly CommandOf[]): Node[] {
  const following = new Map<string, Set<string>>([['', new Set()]]);
  for (const { id } of commands) {
    const words = id.split(' ');
    words.forEach((word, index) => {
      const path = words.slice(0, index).join(' ');
      following.set(path, (following.get(path) ?? new Set()).add(word));
    });
    if (!following.has(id)) following.set(id, new Set());
  }
  const byId = new Map(commands.map((command) => [command.id, command]));
  return [...following].map(([path, words]) => ({ path, words: [...words].sort(), command: byId.get(path) }));
}

const flagWords = ({ flags }: CommandOf) =>
  flags.flatMap(({ name, char, allowNo }) => [
    `--${name}`,
    ...(allowNo === true ? [`--no-${name}`] : []),
    ...(char === undefined ? [] : [`-${char}`]),
  ]);

const flagNames = ({ name, char }: CommandOf['flags'][number]) => [
  `--${name}`,
  ...(char === undefined ? [] : [`-${char}`]),
];

function bash(nodes: readonly Node[]): string {
  const cases = nodes.map(({ path, words, command }) => {
    const valued = (command?.flags ?? []).filter(({ type }) => type === 'option');
    const values = valued.map(
      (flag) => `      ${flagNames(flag).join('|')}) values=${quote(flag.options?.join(' ') ?? '')} ; takes=1 ;;`,
    );
    const inner = values.length === 0 ? [] : [`      case $prev in`, ...values.map((one) => `  ${one}`), '      esac'];
    return [
      `    ${quote(path)})`,
      `      words=${quote(words.join(' '))} flags=${quote(command === undefined ? '' : flagWords(command).join(' '))}`,
      ...inner,
      '      ;;',
    ].join('\n');
  });
  return `# bash completion for ${PROGRAM}; generated from its manifest.
_${PROGRAM}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} path='' next='' words='' flags='' values='' takes='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "|${nodes
      .filter(({ path }) => path !== '')
      .map(({ path }) => path)
      .join('|')}|" in
      *"|$next|"*) path=$next ;;
      *) break ;;
    esac
  done
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=()
  if [[ -n $takes ]]; then
    if [[ -n $values ]]; then mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur"); else compopt -o default 2>/dev/null; fi
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
  elif [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    [[ \${#COMPREPLY[@]} -gt 0 ]] || compopt -o default 2>/dev/null
  else
    compopt -o default 2>/dev/null
  fi
}
complete -F _${PROGRAM} ${PROGRAM}
`;
}

function zsh(nodes: readonly Node[]): string {
  const cases = nodes.map(({ path, words, command }) => {
    const described = (command?.flags ?? []).map((flag) => zshFlag(flag));
    return [
      `    ${quote(path)})`,
      ...(words.length === 0 ? [] : [`      candidates=(${words.map(quote).join(' ')})`]),
      `      specs=(${described.join(' ')})`,
      '      ;;',
    ].join('\n');
  });
  return `#compdef ${PROGRAM}
# zsh completion for ${PROGRAM}; generated from its manifest.
_${PROGRAM}() {
  local path_so_far='' next i
  local -a candidates specs
  for ((i = 2; i < CURRENT; i++)); do
    next="\${path_so_far:+$path_so_far }\${words[i]}"
    case "|${nodes
      .filter(({ path }) => path !== '')
      .map(({ path }) => path)
      .join('|')}|" in
      *"|$next|"*) path_so_far=$next ;;
      *) break ;;
    esac
  done
  case $path_so_far in
${cases.join('\n')}
  esac
  if (( \${#candidates} )) && [[ \${words[CURRENT]} != -* ]]; then
    compadd -a candidates && return
  fi
  _arguments -s $specs '*:file:_files'
}
_${PROGRAM} "$@"
`;
}

function zshFlag(flag: CommandOf['flags'][number]): string {
  const text = (flag.description ?? '').replace(/[[\]:]/g, (c) => `\\${c}`);
  const value =
    flag.type === 'boolean'
      ? ''
      : flag.options === undefined
        ? `:${(flag.helpValue ?? 'value').replaceAll(':', '\\:')}:_files`
        : `:${flag.name}:(${flag.options.join(' ')})`;
  return quote(`--${flag.name}[${text}]${value}`);
}

function fish(nodes: readonly Node[], commands: readonly CommandOf[]): string {
  const summaries = new Map(commands.map(({ id, summary }) => [id, summary]));
  const lines = nodes.flatMap(({ path, words, command }) => {
    const condition = `-n ${quote(`__${PROGRAM}_at ${path}`)}`;
    return [
      ...words.map((word) => {
        const summary = summaries.get(path === '' ? word : `${path} ${word}`);
        return `complete -c ${PROGRAM} -f ${condition} -a ${word}${summary === undefined ? '' : ` -d ${quote(summary)}`}`;
      }),
      ...(command?.flags ?? []).map((flag) => {
        const short = flag.char === undefined ? '' : ` -s ${flag.char}`;
        const value =
          flag.type === 'boolean' ? '' : flag.options === undefined ? ' -r' : ` -x -a ${quote(flag.options.join(' '))}`;
        return `complete -c ${PROGRAM} ${condition} -l ${flag.name}${short}${value} -d ${quote(flag.description ?? '')}`;
      }),
    ];
  });
  return `# fish completion for ${PROGRAM}; generated from its manifest.
set -g __${PROGRAM}_paths ${nodes
    .filter(({ path }) => path !== '')
    .map(({ path }) => quote(path))
    .join(' ')}
function __${PROGRAM}_at
    set -l wanted (string join ' ' $argv)
    set -l path ''
    for word in (commandline -opc)[2..]
        set -l next (string trim "$path $word")
        contains -- "$next" $__${PROGRAM}_paths; or break
        set path $next
    end
    test "$path" = "$wanted"
end
${lines.join('\n')}
`;
}

/** For the shells' single quotes (fish takes this form, too). */
const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
