import { BlobStore } from '../blob/store.ts';
import type { Config } from '../config/types.ts';
import { examine } from '../doctor/doctor.ts';
import { resultLines } from '../doctor/report.ts';
import { openFileSystem } from '../lustre/file-system.ts';
import { openAuditLog } from '../service/audit.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';
import { catalogStep } from './catalog.ts';
import { containersStep } from './containers.ts';
import { directoriesStep } from './directories.ts';
import { fileSystemStep } from './file-system.ts';
import { type MachineOptions, machineStep, removalStep } from './machine.ts';
import { runSetup } from './run.ts';
import type { SetupContext, SetupResult, SetupStep } from './types.ts';

interface CommonOptions {
  readonly config: Config;
  /** A scratch root that directories and files are made in; empty: this machine. */
  readonly root: string;
  readonly log: Log;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  readonly onResult: (result: SetupResult) => void;
}

export interface SetupOptions extends CommonOptions {
  /** Of this program. */
  readonly version: string;
  /** UUID of the file system that is gone. */
  readonly takeOver: string | undefined;
  /** The files of services that are put onto the machine; undefined: none. */
  readonly machine: MachineOptions | undefined;
  /** Whether it looks first at what lfsazsync needs, and ends when something of that fails. */
  readonly checks: boolean;
  /** Is given what the checks say of what is not all right. */
  readonly onCheck: (lines: readonly string[]) => void;
}

export interface SetupSummary {
  readonly mount: string;
  /** Undefined in a dry run that would make one. */
  readonly uuid: string | undefined;
  readonly results: readonly SetupResult[];
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The parts, in their order: each may rely on those before it. */
const STEPS: readonly ((context: SetupContext) => SetupStep)[] = [fileSystemStep, containersStep, catalogStep];

/**
 * Sets up what the configuration names, or shows what would be done.
 * @throws OperatorError: what is wrong, and what to do; nothing was changed, unless it came up while doing it
 */
export async function startSetup(options: SetupOptions): Promise<SetupSummary> {
  const { config, log, dryRun, signal, onResult } = options;
  const takeOver = options.takeOver?.toLowerCase();
  if (takeOver !== undefined && !UUID.test(takeOver)) throw noUuid(options.takeOver as string);
  if (config.archives.size === 0) throw noArchive();
  if (options.checks) await checkFirst(options);
  const fs = await openFileSystem({
    mount: config.mount,
    liblustreapi: config.liblustreapi,
    helper: config.helper,
    onDiagnostic: (line) => log.debug('native helper', { line }),
  });
  const stores = new Map<number, BlobStore>();
  try {
    for (const [id, archive] of config.archives) stores.set(id, await BlobStore.open(archive, { signal }));
    const identity: SetupContext['identity'] = { uuid: undefined };
    const audit: SetupContext['audit'] = async (archive, blob, etag, reason) => {
      const auditLog = await openAuditLog(config.log.auditFile);
      await auditLog.record({ action: 'overwrite', archive, blob, etag, reason }).finally(() => auditLog.close());
    };
    const context: SetupContext = { fs, stores, stateDir: config.stateDir, takeOver, signal, audit, identity };
    const results = await runSetup(
      [
        directoriesOf(options),
        ...STEPS.map((step) => step(context)),
        ...(options.machine === undefined ? [] : [machineStep(options.machine)]),
      ],
      { dryRun, signal, onResult },
    );
    for (const result of results) if (result.state === 'done') log.debug('set up', { ...result });
    return { mount: fs.mount, uuid: identity.uuid, results };
  } finally {
    for (const store of stores.values()) store.close();
    await fs.close();
  }
}

/** Puts the files of services onto the machine, or takes them away; file system and containers are not looked at. */
export async function setUpMachine(
  options: CommonOptions & { readonly machine: MachineOptions; readonly remove: boolean },
): Promise<SetupSummary> {
  const { config, machine, remove, log } = options;
  const steps = remove ? [removalStep(machine)] : [directoriesOf(options), machineStep(machine)];
  const results = await runSetup(steps, options);
  for (const result of results) if (result.state === 'done') log.info('set up', { ...result });
  return { mount: config.mount, uuid: undefined, results };
}

const directoriesOf = ({ config, root }: CommonOptions): SetupStep =>
  directoriesStep(root, [config.stateDir, config.runDir]);

/** What the steps look at themselves, to mend it or to end with errors of their own. */
const OWN_LOOK = /^(?:machine\.state|machine\.run|lustre\..*|container\..*)$/;

/** The doctor's checks of what must be right before anything is set up. */
async function checkFirst({ config, version, log, signal, onCheck }: SetupOptions): Promise<void> {
  const only = ['machine', 'lustre', 'container'];
  const { results } = await examine({ config, version, log, signal, only });
  for (const result of results) {
    const isOurs = result.fix?.includes('`lfsazsync setup`') === true;
    if (!isOurs && (result.status === 'warning' || result.status === 'failed')) onCheck(resultLines(result));
  }
  const bad = results.filter(({ id, status }) => status === 'failed' && !OWN_LOOK.test(id));
  if (bad.length === 0) return;
  throw new OperatorError(`Not set up: ${bad.map(({ id, evidence }) => `${id}: ${evidence}`).join('; ')}`, {
    code: 'SETUP_CHECKS',
    hint: bad[0]?.fix ?? 'Run `lfsazsync doctor`; --skip-checks goes on all the same.',
  });
}

function noUuid(text: string): OperatorError {
  return new OperatorError(`${JSON.stringify(text)} is not a UUID.`, {
    code: 'USAGE',
    hint: 'Give the UUID of the file system that is gone: `lfsazsync setup` names it in its error.',
    exit: 'usage',
  });
}

function noArchive(): OperatorError {
  return new OperatorError('No archive is configured, so there is nothing to set up.', {
    code: 'NO_ARCHIVE',
    hint: 'Add a section under `archives` to the configuration; `lfsazsync config init` shows one.',
    exit: 'usage',
  });
}
