import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { choiceFlags } from '../src/cli/choice-flags.ts';
import { writeOut } from '../src/cli/write-out.ts';
import type { FoundJson } from '../src/query/format.ts';

interface FindJson {
  readonly mount: string;
  readonly count: number;
  /** Of all that were found, bytes; a file counts once for each name. */
  readonly bytes: number;
  readonly entries: readonly FoundJson[];
  /** Further ones are not in `entries`. */
  readonly leftOut: number;
}

/** Entries in one JSON document. */
const IN_JSON = 10_000;

export default class Find extends BaseCommand {
  static override summary = 'Find files in the catalog';
  static override description =
    'Prints the names of files that meet all conditions, from the catalog: Lustre is not asked. The flags are ' +
    'those of lfs find where it has them; --where takes any condition that a policy may have.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /mnt/lustre/projects --size +1G --mtime +90d',
    `<%= config.bin %> <%= command.id %> --where 'type == file and released and not tree == "/mnt/lustre/scratch"'`,
    '<%= config.bin %> <%= command.id %> --state dirty --print0 | xargs -0 ls -l',
    `<%= config.bin %> <%= command.id %> --type f --sort size --descending --limit 20 --format '%s\\t%U\\t%p\\n'`,
  ];
  static override strict = false;
  static override args = {
    path: Args.string({ description: 'search only below these (default: everything)', ignoreStdin: true }),
  };
  static override flags = {
    ...choiceFlags,
    print0: Flags.boolean({ description: 'end each name with a NUL byte' }),
    format: Flags.string({
      description:
        'what to print for each, as with find -printf: %p %P %f %i %y %s %b %m %n %U %G %j %T %A %C %h %a %o %l',
      helpValue: 'FORMAT',
      exclusive: ['print0'],
    }),
    ndjson: Flags.boolean({ description: 'print one line of JSON for each', exclusive: ['print0', 'format', 'json'] }),
    sort: Flags.option({ description: 'order', options: ['mtime', 'atime', 'ctime', 'size'] as const })(),
    descending: Flags.boolean({ description: 'largest, or latest, first', dependsOn: ['sort'] }),
    limit: Flags.integer({ description: 'print at most this many names', helpValue: 'N', min: 1 }),
  };

  async run(): Promise<FindJson> {
    const { flags, argv } = await this.parse(Find);
    const { config } = await this.readConfig({ config: flags.config });
    const [
      { conditionOf },
      { find, belowMount },
      format,
      { openCatalog, WALK_CACHE },
      { catalogFile },
      { rawArguments },
    ] = await Promise.all([
      import('../src/query/condition.ts'),
      import('../src/query/find.ts'),
      import('../src/query/format.ts'),
      import('../src/catalog/open.ts'),
      import('../src/catalog/place.ts'),
      import('../src/request/paths.ts'),
    ]);
    const where = await conditionOf(flags, config);
    const below = belowMount(rawArguments(argv.map(String)), config.mount);
    const render = renderer(format, flags, config.mount);
    const catalog = openCatalog({ file: catalogFile(config.stateDir), readOnly: true, cacheBytes: WALK_CACHE });
    const entries: FoundJson[] = [];
    let count = 0;
    let bytes = 0n;
    try {
      const order = flags.sort === undefined ? undefined : ORDERS[flags.sort];
      const { descending, limit } = flags;
      const options = { catalog, where, below, now: Date.now(), order, descending, limit, signal: this.shutdown.drain };
      for await (const page of find(options)) {
        count += page.length;
        for (const found of page) bytes += found.entry.size;
        if (!this.jsonEnabled()) await writeOut(Buffer.concat(page.map(render)));
        else for (const found of page.slice(0, IN_JSON - entries.length)) entries.push(format.foundJson(found));
      }
      return { mount: config.mount, count, bytes: Number(bytes), entries, leftOut: count - entries.length };
    } finally {
      catalog.close();
    }
  }
}

const ORDERS = { mtime: 'last_mod', atime: 'last_access', ctime: 'last_change', size: 'size' } as const;

type Format = typeof import('../src/query/format.ts');

/** Names are bytes, and are printed as such, also where they are odd: as by find. */
function renderer(
  format: Format,
  flags: { print0: boolean; format?: string | undefined; ndjson: boolean },
  mount: string,
) {
  if (flags.ndjson)
    return (found: Parameters<Format['foundJson']>[0]) => Buffer.from(`${JSON.stringify(format.foundJson(found))}\n`);
  return format.formatter(flags.format ?? (flags.print0 ? '%p\\0' : '%p\\n'), mount);
}
