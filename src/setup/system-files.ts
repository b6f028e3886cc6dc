import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperatorError } from '../service/errors.ts';
import { packageRoot } from '../service/package-root.ts';

/** What the files of the machine are made for. Paths are absolute. */
export interface SystemPlaces {
  /** The executable that units start. */
  readonly program: string;
  readonly config: string;
  readonly mount: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** `log.file`; undefined: the services log to the journal. */
  readonly logFile: string | undefined;
  readonly auditFile: string;
}

/** A file that is to stand on the machine. */
export interface SystemFile {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly content: string;
}

/** The first line of each says so: what does not begin like this was not written by us, and is left alone. */
export const OUR_MARK = '# Written by `lfsazsync setup`';

/** Templates below deploy/, and where they go. */
const TEMPLATES: readonly { readonly template: string; readonly path: string }[] = [
  ...[
    'lfsazsync-copytool.service',
    'lfsazsync-follow.service',
    'lfsazsync-policy.service',
    'lfsazsync-policy.timer',
  ].map((unit) => ({ template: `systemd/${unit}`, path: `/etc/systemd/system/${unit}` })),
  { template: 'logrotate/lfsazsync', path: '/etc/logrotate.d/lfsazsync' },
  { template: 'tmpfiles/lfsazsync.conf', path: '/etc/tmpfiles.d/lfsazsync.conf' },
];

/** The files of the machine for these places: units, timer, logrotate, tmpfiles. */
export async function systemFiles(places: SystemPlaces): Promise<SystemFile[]> {
  const values = valuesOf(places);
  return await Promise.all(
    TEMPLATES.map(async ({ template, path }) => {
      const text = await readFile(join(packageRoot(), 'deploy', template), 'utf8');
      return { path, mode: 0o644, content: fill(text, values) };
    }),
  );
}

/** Where units of ours see nothing, or something else (ProtectHome, PrivateTmp). */
const HIDDEN = /^\/(?:home|root|run\/user|tmp|var\/tmp)(?:\/|$)/;

function valuesOf(places: SystemPlaces): ReadonlyMap<string, string> {
  const { program, config, mount, stateDir, runDir, logFile, auditFile } = places;
  const logs = logFile === undefined ? '/var/log/lfsazsync' : dirname(logFile);
  const named = { BIN: program, CONFIG: config, MOUNT: mount, STATE: stateDir, RUN: runDir, LOGS: logs };
  for (const [name, path] of Object.entries({ ...named, AUDIT: auditFile })) mustFit(name, path);
  const writable = [mount, stateDir, runDir, `-${logs}`, `-${dirname(auditFile)}`];
  // logrotate refuses a file that it is told of twice.
  const rotated = [`${logs}/*.log`, ...(dirname(auditFile) === logs && auditFile.endsWith('.log') ? [] : [auditFile])];
  return new Map(Object.entries({ ...named, WRITABLE: writable.join(' '), ROTATED: rotated.join(' ') }));
}

function mustFit(name: string, path: string): void {
  // systemd, logrotate and tmpfiles each have rules of their own for other characters.
  const why = !/^\/[A-Za-z0-9._/@+:,=-]*$/.test(path)
    ? 'it is not an absolute path of letters, digits and . _ / @ + : , = - only'
    : HIDDEN.test(path)
      ? 'services run without sight of home directories and of temporary ones'
      : undefined;
  if (why === undefined) return;
  throw new OperatorError(`Services can't use ${JSON.stringify(path)} (${name}): ${why}.`, {
    code: 'SETUP_PATH',
    hint: 'Move it, for instance to /opt, /etc, /var/lib or /mnt, and name the new place in the configuration.',
    exit: 'usage',
  });
}

function fill(template: string, values: ReadonlyMap<string, string>): string {
  return template.replace(/@([A-Z]+)@/g, (whole, name: string) => values.get(name) ?? whole);
}
