import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { ProgressDisplay } from '../src/cli/progress-display.ts';
import type { ImportJson } from '../src/import/report.ts';
import type { ImportProblem, OnConflict } from '../src/import/types.ts';
import { OperatorError } from '../src/service/errors.ts';

/** Lines about single blobs before they are only counted. */
const PROBLEM_LINES = 100;
const CONFLICTS = ['fail', 'skip', 'overwrite-dirty', 'overwrite-always'] as const satisfies readonly OnConflict[];

const mode = Flags.custom<number>({
  parse: async (text) => {
    if (!/^[0-7]{3,4}$/.test(text)) throw new Error(`${text} is no mode: write octal digits, such as 0644`);
    return Number.parseInt(text, 8);
  },
  helpValue: 'MODE',
});

export default class Import extends BaseCommand {
  static override summary = 'Create the files of a container in Lustre';
  static override description =
    'Creates directories, symlinks, hard links and released files with the attributes that the blobs name, ' +
    'whatever program wrote them; data comes when it is first read. Nothing that exists is touched unless ' +
    '--on-conflict or --refresh says so. An import that was stopped or killed continues where it was.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --prefix projects/2024 --report /var/tmp/import.ndjson',
    '<%= config.bin %> <%= command.id %> --refresh --delete',
  ];
  static override flags = {
    prefix: Flags.string({
      description: 'only this directory of the container; several may be given (default: all of it)',
      helpValue: 'DIRECTORY',
      multiple: true,
      multipleNonGreedy: true,
    }),
    to: Flags.string({
      description: 'make everything below this directory (default: the root)',
      helpValue: 'DIRECTORY',
    }),
    include: Flags.string({
      description: 'only what matches a glob, such as *.dat or projects/**',
      helpValue: 'GLOB',
      multiple: true,
      multipleNonGreedy: true,
    }),
    exclude: Flags.string({
      description: 'skip what matches a glob, or lies below a directory that does',
      helpValue: 'GLOB',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'archive-id': Flags.integer({
      description: 'id of the archive whose container is imported (default: the only one configured)',
      helpValue: 'ID',
      min: 1,
      max: 65_535,
      // As `archive` names it.
      aliases: ['archive'],
    }),
    'stripe-count': Flags.integer({
      description: 'stripes that files get when they are restored; -1: all OSTs (default: the directory’s)',
      helpValue: 'N',
      min: -1,
      max: 2000,
    }),
    pool: Flags.string({ description: 'pool of OSTs that files are restored to', helpValue: 'NAME' }),
    uid: Flags.integer({ description: 'owner if a blob names none (default: 0)', min: 0, max: 4_294_967_294 }),
    gid: Flags.integer({ description: 'group if a blob names none (default: 0)', min: 0, max: 4_294_967_294 }),
    'file-mode': mode({ description: 'mode of files for which no blob names one (default: 0644)' }),
    'dir-mode': mode({ description: 'mode of directories for which no blob names one (default: 0777)' }),
    'on-conflict': Flags.option({
      description: 'what to do if something else is there already',
      options: CONFLICTS,
      default: 'skip',
    })(),
    refresh: Flags.boolean({
      description: 'bind files whose blobs have changed to the new versions; modified files stay as they are',
    }),
    delete: Flags.boolean({
      description: 'remove imported files whose blobs are gone, unless they were modified',
      dependsOn: ['refresh'],
    }),
    'max-delete-share': Flags.string({
      description:
        'with --delete: remove nothing when more than this share of all that was imported would go (default: the setting removal.max_delete_share); 100%: whatever goes',
      helpValue: 'PERCENT',
      dependsOn: ['delete'],
    }),
    'max-errors': Flags.integer({
      description: 'stop when more blobs than this could not be imported (default: never)',
      helpValue: 'N',
      min: 0,
    }),
    report: Flags.string({
      description: 'write a JSON line for every blob that was not imported, and why',
      helpValue: 'FILE',
    }),
    'dry-run': Flags.boolean({ char: 'n', description: 'only list and count; make nothing, remember nothing' }),
    restart: Flags.boolean({ description: 'start over instead of continuing a stopped import' }),
    threads: Flags.integer({
      description: 'threads that create files (default: the setting import.threads)',
      helpValue: 'N',
      min: 1,
      max: 256,
    }),
  };

  async run(): Promise<ImportJson> {
    const { flags } = await this.parse(Import);
    const { config } = await this.loadConfig(flags, {
      threads: 'import.threads',
      'max-delete-share': 'removal.max_delete_share',
    });
    const log = await this.openLog('import', config.log);
    const [{ startImport }, report, { READ_DEFAULTS }, { destinationOf }] = await Promise.all([
      import('../src/import/start.ts'),
      import('../src/import/report.ts'),
      import('../src/blob/reading.ts'),
      import('../src/import/destination.ts'),
    ]);
    const display = new ProgressDisplay();
    const told: ImportProblem[] = [];
    let problems = 0;
    try {
      const { summary, place } = await startImport({
        config,
        version: this.config.version,
        log,
        dryRun: flags['dry-run'],
        restart: flags.restart,
        report: flags.report,
        signal: this.shutdown.drain,
        request: {
          archive: flags['archive-id'] ?? onlyArchive([...config.archives.keys()]),
          prefixes: flags.prefix ?? [],
          to: flags.to === undefined ? Buffer.alloc(0) : await destinationOf(flags.to, config.mount),
          include: flags.include ?? [],
          exclude: flags.exclude ?? [],
          defaults: {
            uid: flags.uid ?? READ_DEFAULTS.uid,
            gid: flags.gid ?? READ_DEFAULTS.gid,
            fileMode: flags['file-mode'] ?? READ_DEFAULTS.fileMode,
            dirMode: flags['dir-mode'] ?? READ_DEFAULTS.dirMode,
          },
          stripeCount: flags['stripe-count'] ?? 0,
          pool: flags.pool,
          onConflict: flags['on-conflict'],
          refresh: flags.refresh,
          delete: flags.delete,
          maxDelete: { share: config.removal.maxDeleteShare, free: config.removal.maxDeleteFree },
          maxErrors: flags['max-errors'],
        },
        onProgress: (progress) => display.update(() => report.progressLine(progress(), display.width)),
        onProblem: (problem) => {
          problems += 1;
          if (problems > PROBLEM_LINES) return;
          told.push(problem);
          display.line(report.problemLine(problem));
        },
      });
      display.clear();
      if (problems > PROBLEM_LINES)
        this.logToStderr(`… and ${problems - PROBLEM_LINES} more: name a file with --report`);
      const exit = this.shutdown.exit() ?? report.exitOf(summary.outcome);
      for (const line of report.summaryLines(summary)) this.log(line);
      this.endWith(exit);
      return report.toJson(summary, place, { told, leftOut: problems - told.length }, exit);
    } finally {
      display.clear();
      log.close();
    }
  }
}

function onlyArchive(ids: readonly number[]): number {
  const [only, ...others] = ids;
  if (only !== undefined && others.length === 0) return only;
  throw new OperatorError(only === undefined ? 'No archive is configured.' : 'Several archives are configured.', {
    code: 'ARCHIVE_UNKNOWN',
    hint:
      only === undefined ? 'Configure one: `lfsazsync config init`.' : `Name one with --archive-id: ${ids.join(', ')}.`,
    exit: 'usage',
  });
}
