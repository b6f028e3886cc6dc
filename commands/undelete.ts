import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { renderTable } from '../src/cli/table.ts';
import type { Config } from '../src/config/types.ts';
import { OperatorError } from '../src/service/errors.ts';
import type { RemovedJson, UndeletedJson } from '../src/undelete/report.ts';

/** Lines about single things before they are only counted. */
const LINES = 100;
/** Removed things that are listed, if nothing else is said. */
const SHOWN = 1000;

type UndeleteJson =
  | { readonly removed: readonly RemovedJson[]; readonly count: number }
  | {
      readonly dry_run: boolean;
      readonly counts: Readonly<Record<string, number>>;
      readonly bytes: number;
      readonly items: readonly UndeletedJson[];
    };

export default class Undelete extends BaseCommand {
  static override summary = 'Bring back what was removed, as long as the container still has it';
  static override description =
    'Files come back as released files with their owner, group, mode and time, and are read from the container ' +
    'when they are opened; symlinks and directories come back, too. A file that was modified after its last ' +
    'archive comes back as it was archived. Nothing that exists is overwritten.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --list /mnt/lustre/projects',
    '<%= config.bin %> <%= command.id %> --list --search /mnt/lustre/projects',
    '<%= config.bin %> <%= command.id %> /mnt/lustre/projects/results.h5',
    '<%= config.bin %> <%= command.id %> --recursive /mnt/lustre/projects/old',
  ];
  static override strict = false;
  static override args = {
    path: Args.string({ description: 'what was removed, by path or FID; several may be given', ignoreStdin: true }),
  };
  static override flags = {
    recursive: Flags.boolean({ char: 'r', description: 'also everything that was removed below it' }),
    search: Flags.boolean({
      description:
        'look in the container, too, for what the catalog does not remember: after a catalog was lost, or when the blobs were deleted and the storage account still keeps them (soft delete, versions)',
    }),
    list: Flags.boolean({ description: 'show what was removed there and below, latest first, and bring nothing back' }),
    limit: Flags.integer({
      description: `with --list, show at most this many (default: ${SHOWN})`,
      helpValue: 'N',
      min: 1,
      dependsOn: ['list'],
    }),
    'dry-run': Flags.boolean({ char: 'n', description: 'show what would come back, and bring nothing back' }),
  };

  async run(): Promise<UndeleteJson> {
    const { argv, flags } = await this.parse(Undelete);
    const { rawArguments } = await import('../src/request/paths.ts');
    const { config } = await this.loadConfig(flags);
    const args = rawArguments(argv.map(String));
    if (flags.list) {
      const places = args.length === 0 ? [Buffer.from(config.mount)] : args;
      return await this.#list(config, places, { limit: flags.limit ?? SHOWN, search: flags.search });
    }
    if (args.length === 0) {
      throw new OperatorError('Nothing is named.', {
        code: 'USAGE',
        hint: 'Name what was removed; `lfsazsync undelete --list` shows it.',
        exit: 'usage',
      });
    }
    const log = await this.openLog('undelete', config.log);
    const [{ startUndelete }, report] = await Promise.all([
      import('../src/undelete/start.ts'),
      import('../src/undelete/report.ts'),
    ]);
    const items: UndeletedJson[] = [];
    let lines = 0;
    try {
      const { bytes, ...counts } = await startUndelete({
        ...{ config, log, args, recursive: flags.recursive, search: flags.search, dryRun: flags['dry-run'] },
        signal: this.shutdown.drain,
        onItem: (item) => {
          log.debug('undelete', { ...report.undeletedJson(item) });
          if (items.length < LINES) items.push(report.undeletedJson(item));
          if (item.outcome === 'restored' && item.detail === undefined) return;
          lines += 1;
          if (lines <= LINES) process.stderr.write(`${report.itemLine(item)}\n`);
        },
      });
      for (const line of report.summaryLines({ ...counts, bytes })) this.log(line);
      if (flags['dry-run']) this.log('A dry run: nothing was brought back.');
      this.endWith(this.shutdown.exit() ?? report.exitOf({ ...counts, bytes }));
      return { dry_run: flags['dry-run'], counts, bytes: Number(bytes), items };
    } finally {
      log.close();
    }
  }

  async #list(
    config: Config,
    args: readonly Buffer[],
    { limit, search }: { readonly limit: number; readonly search: boolean },
  ): Promise<UndeleteJson> {
    const [{ listUndeletable }, { keptWords, removedJson }] = await Promise.all([
      import('../src/undelete/start.ts'),
      import('../src/undelete/report.ts'),
    ]);
    const log = await this.openLog('undelete', config.log);
    const removed: RemovedJson[] = [];
    let count = 0;
    try {
      await listUndeletable({
        ...{ config, log, args, search, signal: this.shutdown.drain },
        onStone: (stone, stray) => {
          count += 1;
          if (removed.length < limit) removed.push(removedJson(stone, stray));
        },
      });
    } finally {
      log.close();
    }
    const rows = removed.map((one) => [
      ...[one.removed ?? '?', one.type, String(one.size), one.fid],
      ...(search ? [keptWords(one)] : []),
      one.path ?? '?',
    ]);
    const head = ['REMOVED', 'TYPE', 'SIZE', 'FID', ...(search ? ['KEPT'] : []), 'PATH'];
    if (rows.length > 0) this.log(renderTable(head, rows));
    this.log(`${count} removed${count > removed.length ? `; ${removed.length} of them shown (--limit)` : ''}`);
    return { removed, count };
  }
}
