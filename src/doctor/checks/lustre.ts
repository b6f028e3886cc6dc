import { lfsVersion } from '../../lustre/lfs.ts';
import { type MountEntry, mountedAt } from '../../lustre/mount-table.ts';
import type { DoctorContext } from '../context.ts';
import { type Check, type Finding, failed, ok, unknown, warning } from '../types.ts';

/** What programs on a client expect, and what is taken from them without it. */
const MOUNT_OPTIONS: ReadonlyMap<string, string> = new Map([
  ['flock', 'programs that lock files fail, or lock on this client only'],
  ['user_xattr', 'user.* attributes can’t be set'],
]);

export const lustreChecks: readonly Check<DoctorContext>[] = [
  { id: 'lustre.mount', run: async ({ config }) => mount(config.mount, await mountedAt(config.mount)) },
  { id: 'lustre.file-system', run: fileSystem },
  { id: 'lustre.programs', needs: ['lustre.file-system'], run: programs },
  { id: 'lustre.mdts', needs: ['lustre.file-system'], run: mdts },
];

export function mount(place: string, entry: MountEntry | undefined): Finding {
  if (entry === undefined) {
    return failed(
      `nothing is mounted at ${place}`,
      `Mount the file system there (mount -t lustre MGS@tcp:/FSNAME ${place} -o flock,user_xattr), or correct the setting \`mount\`.`,
    );
  }
  const seen = `${entry.device} at ${place}, ${entry.type} (${entry.options.join(',')})`;
  if (entry.type !== 'lustre') {
    return unknown(seen, 'The options of a mount that is not of the type lustre can’t be judged.');
  }
  const missing = [...MOUNT_OPTIONS].filter(([option]) => !entry.options.includes(option));
  if (missing.length === 0) return ok(seen);
  const effects = missing.map(([option, effect]) => `${option} (${effect})`).join(', ');
  return warning(
    `${seen}: without ${effects}`,
    `Add ${missing.map(([option]) => option).join(',')} to the options of the mount, and mount it again.`,
  );
}

async function fileSystem(context: DoctorContext): Promise<Finding> {
  const fs = await context.fileSystem();
  const { llapi, lib, helper } = fs.helper.hello;
  return ok(`${fs.fsname} at ${fs.mount}, root ${fs.root}; liblustreapi ${llapi} (${lib}), helper ${helper}`);
}

async function programs(context: DoctorContext): Promise<Finding> {
  const [version, fs] = await Promise.all([lfsVersion(context.config.lfs), context.fileSystem()]);
  return sameSeries(version, fs.helper.hello.llapi);
}

/** @param version of `lfs`; `llapi`: of the library */
export function sameSeries(version: string, llapi: string): Finding {
  const seen = `lfs ${version}, liblustreapi ${llapi}`;
  const series = (text: string) => text.split('.').slice(0, 2).join('.');
  return series(version) === series(llapi)
    ? ok(seen)
    : warning(
        seen,
        'Programs and library are of different versions: let `lfs` and `liblustreapi` name those of one installation.',
      );
}

async function mdts(context: DoctorContext): Promise<Finding> {
  const found = await context.mdts();
  const how = context.config.mdts === undefined ? 'as the client knows them' : 'as configured';
  return ok(`${found.join(', ')} (${how})`);
}
