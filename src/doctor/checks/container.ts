import { stat } from 'node:fs/promises';
import { hasHierarchy } from '../../blob/account-kind.ts';
import { controlName, readControl } from '../../blob/control.ts';
import { BlobError, isBlobError } from '../../blob/errors.ts';
import { checkContainer } from '../../blob/preflight.ts';
import { serviceTime } from '../../blob/service-clock.ts';
import type { BlobStore } from '../../blob/store.ts';
import type { ArchiveConfig } from '../../config/types.ts';
import { formatDuration } from '../../service/units.ts';
import type { DoctorContext } from '../context.ts';
import { type Check, type Finding, failed, ok, unknown, warning } from '../types.ts';

/** The service refuses signed requests whose clock is off by 15 minutes; long before that SAS begin too late. */
const SKEW_MS = 60_000;
const SOON_MS = 7 * 86_400_000;
const RECOMMENDED_DAYS = 14;

type Subject = Finding & { readonly subject: string };

/** Each of them once for every archive. */
export const containerChecks: readonly Check<DoctorContext>[] = [
  { id: 'container.configured', run: ({ config }) => Promise.resolve(configured(config.archives.size)) },
  { id: 'container.proxy', run: ({ env }) => Promise.resolve(proxy(env)) },
  perArchive('container.secret', [], ({ archive }) => secretFile(archive)),
  // Before what they break: a signature that is over, or signed at a wrong time, is refused.
  perArchive('container.expiry', [], ({ store }) =>
    Promise.resolve(expiry(store.sas?.expires, store.renewal, Date.now())),
  ),
  perArchive('container.clock', [], clock),
  perArchive('container.access', [], access),
  perArchive('container.account', ['container.access'], account),
  perArchive('container.protection', ['container.access'], protection),
];

interface ArchiveContext {
  readonly archive: ArchiveConfig;
  readonly store: BlobStore;
  readonly signal: AbortSignal;
}

function perArchive(
  id: string,
  needs: readonly string[],
  look: (context: ArchiveContext) => Promise<Finding>,
): Check<DoctorContext> {
  return {
    id,
    needs,
    run: (context, signal) =>
      Promise.all(
        [...context.config.archives.values()].map(async (archive): Promise<Subject> => {
          const subject = `archive ${archive.id}`;
          try {
            return { subject, ...(await look({ archive, store: await context.store(archive.id), signal })) };
          } catch (error) {
            signal.throwIfAborted();
            const { message, hint } = error as { message: string; hint?: string };
            return { subject, ...failed(message, hint ?? 'Check endpoint, container and credential of the archive.') };
          }
        }),
      ),
  };
}

export function configured(archives: number): Finding {
  return archives > 0
    ? ok(`${archives} archive${archives === 1 ? '' : 's'}`)
    : failed('no archive is configured', 'Add a section under `archives`; `lfsazsync config init` shows one.');
}

/** Where requests go, without the password of a proxy. */
export function proxy(env: Readonly<Record<string, string | undefined>>): Finding {
  const named = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy'].filter(
    (name) => (env[name] ?? '') !== '',
  );
  if (named.length === 0) return ok('none in this environment');
  const shown = named.map((name) => `${name}=${(env[name] ?? '').replace(/\/\/[^@/]*@/, '//…@')}`).join(' ');
  return named.every((name) => name.toLowerCase() === 'no_proxy')
    ? ok(shown)
    : warning(
        `${shown} in this environment`,
        'Services have an environment of their own: put it into /etc/default/lfsazsync, too, or leave it out here.',
      );
}

async function secretFile({ credential }: ArchiveConfig): Promise<Finding> {
  if (!('file' in credential) || credential.file === undefined) return ok(`${credential.type}, no file`);
  const { mode, uid } = await stat(credential.file);
  if ((mode & 0o077) !== 0)
    return failed(
      `${credential.file} can be read by others (${(mode & 0o777).toString(8)})`,
      `chmod 600 ${credential.file}, and make a new secret if others may have read it.`,
    );
  return uid === 0
    ? ok(credential.file)
    : warning(`${credential.file} belongs to user ${uid}`, `chown root ${credential.file}`);
}

/** Reachable, there, of the right kind, with all permissions: by requests that change nothing. */
async function access({ store, signal }: ArchiveContext): Promise<Finding> {
  await checkContainer(store, { need: 'write', signal });
  if (await isWriteOnce(store, signal))
    return failed(
      `nothing in ${store.container} of ${store.account} can be changed or deleted: it has an immutability policy or a legal hold`,
      'Use a container without one, or with immutability of versions: files that were modified could not be archived again, nor copies moved.',
    );
  const control = await readControl(store, signal);
  const owner = control === undefined ? 'not claimed yet' : `of file system ${control.fs}`;
  return ok(
    `${store.container} of ${store.account}${store.prefix === '' ? '' : ` below ${store.prefix}`}: read, write, delete, list; ${owner}`,
  );
}

/** Who may not ask is not told. */
async function isWriteOnce(store: BlobStore, signal: AbortSignal): Promise<boolean> {
  return await store.isWriteOnce(signal).catch((error: unknown) => {
    if (isBlobError(error, 'AUTH', 'NOT_FOUND', 'INVALID')) return false;
    throw error;
  });
}

export function expiry(expires: Date | undefined, renewal: string, now: number): Finding {
  if (expires === undefined) return ok('does not expire by its own words');
  const left = expires.getTime() - now;
  const when = expires.toISOString();
  if (left <= 0) return failed(`expired ${when}`, renewal);
  return left < SOON_MS
    ? warning(`expires ${when}, in ${formatDuration(Math.floor(left / 60_000) * 60_000 || 60_000)}`, renewal)
    : ok(`expires ${when}`);
}

async function account({ store, signal }: ArchiveContext): Promise<Finding> {
  try {
    const hierarchical = await hasHierarchy(store, signal);
    if (hierarchical === false) return ok('no hierarchical namespace');
    if (hierarchical === true)
      return failed(
        'hierarchical namespace (Data Lake Storage Gen2)',
        'Use an account without one: lfsazsync does not work with it.',
      );
  } catch (error) {
    if (!(error instanceof BlobError)) throw error;
  }
  return unknown(
    'the kind of the account can’t be asked for with this credential',
    'See the account’s properties: `az storage account show --query isHnsEnabled` must not be true.',
  );
}

/** Needs no credential: a clock that is off is a reason why one is refused. */
async function clock({ store, signal }: ArchiveContext): Promise<Finding> {
  const before = Date.now();
  const time = await serviceTime(store.endpoint, signal).catch((error: NodeJS.ErrnoException) => error);
  if (time instanceof Error) {
    return /^CERT_(?:NOT_YET_VALID|HAS_EXPIRED)$/.test(time.code ?? '')
      ? failed(`the service’s certificate is not valid at this machine’s time, ${new Date().toISOString()}`, KEEP_TIME)
      : unknown(`the service could not be asked: ${time.message}`, 'See what container.access says.');
  }
  if (time === undefined) return unknown('the service told no time', 'Compare `date -u` with another machine’s.');
  // The header has whole seconds.
  const off = Math.round((before - time.getTime()) / 1000);
  return Math.abs(off) * 1000 > SKEW_MS
    ? failed(`this machine is ${Math.abs(off)} s ${off > 0 ? 'ahead of' : 'behind'} the service`, KEEP_TIME)
    : ok(`within ${Math.max(1, Math.abs(off))} s of the service`);
}

const KEEP_TIME = 'Let chrony or systemd-timesyncd keep the clock: signatures and leases depend on it.';

async function protection({ store, signal }: ArchiveContext): Promise<Finding> {
  const advice = `Turn on soft delete (${RECOMMENDED_DAYS} days) or versioning for blobs of the account: what a mistake removed can be undeleted there, and \`lfsazsync undelete --search\` brings it back.`;
  if ((await store.isVersioned(controlName(store.prefix), signal)) === true) return ok('versioning');
  try {
    const days = await store.softDeleteDays(signal);
    return days > 0 ? ok(`soft delete, ${days} days`) : warning('neither soft delete nor versioning', advice);
  } catch (error) {
    if (!(error instanceof BlobError)) throw error;
    return unknown('soft delete can’t be asked for with this credential', advice);
  }
}
