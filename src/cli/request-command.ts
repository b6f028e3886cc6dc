import { Args, Flags } from '@oclif/core';
import type { BlobStore } from '../blob/store.ts';
import type { Config } from '../config/types.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import type { RequestOptions } from '../request/engine.ts';
import type { RequestJson } from '../request/report.ts';
import type { RequestSummary } from '../request/tally.ts';
import type { CopyVerifier, RequestEvent, Verb } from '../request/types.ts';
import { OperatorError } from '../service/errors.ts';
import { parseBytes, parseDuration } from '../service/units.ts';
import { BaseCommand } from './base-command.ts';
import { type Failure, failureOf } from './failure.ts';
import { ProgressDisplay } from './progress-display.ts';

/** Lines about single paths before they are only counted. */
const PROBLEM_LINES = 100;

const size = Flags.custom<number>({ parse: async (text) => parseBytes(text), helpValue: 'SIZE' });
const duration = Flags.custom<number>({ parse: async (text) => parseDuration(text), helpValue: 'DURATION' });

export const requestArgs = {
  path: Args.string({
    description: 'files, or directories with --recursive; several may be given',
    // Otherwise oclif takes what comes on standard input for a path.
    ignoreStdin: true,
  }),
};

/** The flags of all five commands. */
export const requestFlags = {
  recursive: Flags.boolean({ char: 'r', description: 'take the files in directories, at any depth' }),
  'files-from': Flags.string({
    description: 'read paths from a file, one a line; - for standard input',
    helpValue: 'FILE',
  }),
  from0: Flags.boolean({
    description: 'paths of --files-from end with NUL, as from find -print0',
    dependsOn: ['files-from'],
  }),
  include: Flags.string({
    description: 'only files that match a glob, such as *.dat or projects/**',
    helpValue: 'GLOB',
    multiple: true,
    multipleNonGreedy: true,
  }),
  exclude: Flags.string({
    description: 'skip files and directories that match a glob',
    helpValue: 'GLOB',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'older-than': duration({ description: 'only files whose content has not changed for this long, such as 30m or 7d' }),
  larger: size({ description: 'only files larger than this, such as 16MiB' }),
  smaller: size({ description: 'only files smaller than this' }),
  'dry-run': Flags.boolean({ char: 'n', description: 'choose files in the same way, but ask for nothing' }),
  verbose: Flags.boolean({
    char: 'v',
    description: 'name every path that is skipped, and with --dry-run every file that is not',
  }),
};

/** Of the commands whose work goes on after the request. */
export const waitFlags = {
  wait: Flags.boolean({ char: 'w', description: 'wait until the files are done' }),
  'wait-timeout': duration({ description: 'wait no longer than this (exit code 5 when files are left)' }),
};

/** What the flags of all five commands are parsed into. */
export interface ParsedRequest {
  readonly recursive?: boolean;
  readonly 'files-from'?: string | undefined;
  readonly from0?: boolean;
  readonly include?: string[] | undefined;
  readonly exclude?: string[] | undefined;
  readonly 'older-than'?: number | undefined;
  readonly larger?: number | undefined;
  readonly smaller?: number | undefined;
  readonly 'dry-run'?: boolean;
  readonly verbose?: boolean;
  readonly outstanding?: number | undefined;
  readonly rate?: string | undefined;
  readonly wait?: boolean;
  readonly 'wait-timeout'?: number | undefined;
  readonly config?: string | undefined;
  readonly 'log-level'?: string | undefined;
}

/** What a single command adds. */
export interface VerbOptions {
  readonly archive?: number | undefined;
  readonly data?: string | undefined;
  readonly verify?: boolean;
}

export type RequestResult = RequestJson & { readonly error?: Failure };

/** One request command: parses, calls the engine, shows progress and the summary. */
export abstract class RequestCommand extends BaseCommand {
  /** For the manifest; the parser reads a command's own properties only, so each has this line, too. */
  protected async request(
    verb: Verb,
    argv: readonly unknown[],
    flags: ParsedRequest,
    own: VerbOptions = {},
  ): Promise<RequestResult> {
    const paths = await this.#paths(argv.map(String), flags);
    const { config } = await this.loadConfig(
      {
        ...{ config: flags.config, 'log-level': flags['log-level'] },
        ...{ outstanding: flags.outstanding, rate: flags.rate },
      },
      { outstanding: 'request.restore_outstanding', rate: 'request.restore_rate' },
    );
    const log = await this.openLog(verb, config.log);
    const [{ openFileSystem }, { hsmRequest }, { runRequest }] = await Promise.all([
      import('../lustre/file-system.ts'),
      import('../lustre/lfs.ts'),
      import('../request/engine.ts'),
    ]);
    const { drain } = this.shutdown;
    const { liblustreapi, helper } = config;
    const fs = await openFileSystem({
      mount: config.mount,
      liblustreapi,
      helper,
      onDiagnostic: (line) => log.debug('helper', { line }),
    });
    const display = new ProgressDisplay();
    try {
      const waiting = flags.wait === true || flags['wait-timeout'] !== undefined;
      const options: RequestOptions = {
        verb,
        files: fs.files,
        mount: fs.mount,
        send: hsmRequest,
        paths,
        recursive: flags.recursive ?? false,
        filters: filtersOf(flags),
        ...archiveOf(verb, own.archive, config),
        data: own.data,
        batch: config.request.batch,
        parallel: config.request.parallel,
        wait: waiting ? { pollInterval: config.request.pollInterval, timeout: flags['wait-timeout'] } : undefined,
        throttle: verb === 'restore' ? throttleOf(config.request) : undefined,
        dryRun: flags['dry-run'] ?? false,
        verifier: own.verify === true ? await openVerifier(fs, config, drain) : undefined,
        onEvent: await this.#shower(display, verb, flags, waiting),
        signal: drain,
        lfs: config.lfs,
      };
      const summary = await runRequest(options);
      display.clear();
      return await this.#finish(summary, flags, config);
    } finally {
      display.clear();
      await fs.close();
      log.close();
    }
  }

  async #paths(argv: readonly string[], flags: ParsedRequest): Promise<AsyncIterable<Buffer> | Buffer[]> {
    const { openList, pathsFrom, rawArguments } = await import('../request/paths.ts');
    const list = flags['files-from'];
    if (list === undefined && argv.length === 0) {
      throw new OperatorError('No files are named.', {
        code: 'USAGE',
        hint: 'Name paths, or a list of them with --files-from.',
        exit: 'usage',
      });
    }
    const named = rawArguments(argv);
    if (list === undefined) return named;
    const source: AsyncIterable<Buffer> = list === '-' ? process.stdin : await openList(list);
    const nul = flags.from0 ?? false;
    return (async function* () {
      yield* named;
      yield* pathsFrom(source, { nul });
    })();
  }

  async #shower(
    display: ProgressDisplay,
    verb: Verb,
    flags: ParsedRequest,
    waiting: boolean,
  ): Promise<(event: RequestEvent) => void> {
    const { problemLine, progressLine, stalledLine } = await import('../request/report.ts');
    const { printable } = await import('../lustre/printable.ts');
    let problems = 0;
    return (event) => {
      if (event.type === 'progress') {
        display.update(() => progressLine(event.progress, { verb, waiting, width: display.width }));
      } else if (event.type === 'would_ask') {
        if (flags.verbose === true) this.log(printable(event.file.path));
      } else if (event.type === 'stalled') {
        display.line(stalledLine(event.since));
      } else {
        problems += 1;
        if (flags.verbose === true || problems <= PROBLEM_LINES) display.line(problemLine(event.problem));
        else if (problems === PROBLEM_LINES + 1)
          display.line('(more of these are only counted; --verbose names them all)');
      }
    };
  }

  /** Shows how it ended, and sets the exit code. */
  async #finish(summary: RequestSummary, flags: ParsedRequest, config: Config): Promise<RequestResult> {
    const { afterword, logHint, summaryLines, toJson } = await import('../request/report.ts');
    const { stoppedBy } = summary;
    const interrupted = this.shutdown.exit() !== undefined;
    if (stoppedBy !== undefined && summary.selected + summary.badPaths === 0 && !interrupted) throw stoppedBy;
    for (const line of summaryLines(summary)) this.log(line);
    if (flags['dry-run'] === true) this.log('A dry run: nothing was asked for.');
    for (const more of [logHint(summary, config.log.file), afterword(summary)]) {
      if (more !== undefined) this.log(more);
    }
    this.endWith(summary.exit);
    if (stoppedBy === undefined) return toJson(summary);
    if (!this.jsonEnabled() && !interrupted) throw stoppedBy;
    return { ...toJson(summary), error: failureOf(stoppedBy) };
  }
}

function filtersOf(flags: ParsedRequest): RequestOptions['filters'] {
  const { include, exclude, larger, smaller } = flags;
  const olderThan = flags['older-than'];
  return {
    ...(include === undefined ? {} : { include }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(olderThan === undefined ? {} : { olderThan }),
    ...(larger === undefined ? {} : { larger }),
    ...(smaller === undefined ? {} : { smaller }),
  };
}

/** Restores are what a million files are asked for at once. */
function throttleOf({ restoreOutstanding, restoreRate, pollInterval }: Config['request']): RequestOptions['throttle'] {
  const perSecond = restoreRate === 'unlimited' ? undefined : restoreRate;
  return { outstanding: restoreOutstanding, perSecond, pollInterval };
}

/** The archive id for files that have none: the flag's, or the only one that is configured. */
function archiveOf(
  verb: Verb,
  flag: number | undefined,
  config: Config,
): Pick<RequestOptions, 'archive' | 'forceArchive'> {
  if (verb !== 'archive') return {};
  const ids = [...config.archives.keys()];
  if (flag !== undefined) {
    // A client that only asks may have none in its configuration: its operator knows then.
    if (ids.length === 0 || ids.includes(flag)) return { archive: flag, forceArchive: true };
    throw new OperatorError(`Archive ${flag} is not configured, so a request for it would wait for ever.`, {
      code: 'ARCHIVE_UNKNOWN',
      hint: `Configured: ${ids.join(', ')}.`,
      exit: 'usage',
    });
  }
  if (ids.length > 1) {
    throw new OperatorError(`Several archives are configured (${ids.join(', ')}): which is it?`, {
      code: 'ARCHIVE_UNCLEAR',
      hint: 'Say it with --archive.',
      exit: 'usage',
    });
  }
  return { archive: ids[0] };
}

async function openVerifier(fs: LustreFileSystem, config: Config, signal: AbortSignal): Promise<CopyVerifier> {
  const [{ copyVerifier }, blob] = await Promise.all([import('../request/verify.ts'), import('../blob/store.ts')]);
  const stores = new Map<number, Promise<BlobStore>>();
  const openArchive = (id: number) => {
    const archive = config.archives.get(id);
    if (archive === undefined) return undefined;
    const store = stores.get(id) ?? blob.BlobStore.open(archive, { signal });
    stores.set(id, store);
    return store;
  };
  return copyVerifier({ files: fs.files, fsUuid: await fs.readUuid(), openArchive });
}
