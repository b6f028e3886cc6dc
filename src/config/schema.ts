import * as z from 'zod';
import { followSchema, removalSchema } from './follow-schema.ts';
import { absolutePath, count, duration, program, rate, size } from './measures.ts';
import { policyIssues } from './policy-checks.ts';
import { classesSchema, policiesSchema } from './policy-schema.ts';
import { pricesSchema } from './price-schema.ts';

/**
 * The one table of what can be configured: keys, kinds, limits, defaults and what they mean. The loader, `config show`,
 * `config init`, the environment's names and docs/configuration.md all come from it.
 * In the loaded configuration sizes are bytes and durations are milliseconds.
 */

const secretSource = {
  file: absolutePath().optional().meta({ description: 'file that holds the secret, readable by root only' }),
  env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
    .optional()
    .meta({ description: 'environment variable that holds the secret (instead of `file`)' }),
};
const oneSource = (value: { file?: string | undefined; env?: string | undefined }) =>
  (value.file === undefined) !== (value.env === undefined);
const ONE_SOURCE = 'needs exactly one of file and env';

const credential = z.discriminatedUnion('type', [
  z
    .strictObject({ type: z.literal('sas'), ...secretSource })
    .refine(oneSource, ONE_SOURCE)
    .meta({ description: 'a shared access signature of the container' }),
  z
    .strictObject({ type: z.literal('connection_string'), ...secretSource })
    .refine(oneSource, ONE_SOURCE)
    .meta({ description: 'a connection string; the endpoint comes from it' }),
  z
    .strictObject({
      type: z.literal('managed_identity'),
      client_id: z.string().min(1).optional().meta({ description: 'client id of a user-assigned identity' }),
    })
    .meta({ description: 'the identity of the virtual machine (recommended)' }),
  z
    .strictObject({
      type: z.literal('workload_identity'),
      client_id: z
        .string()
        .min(1)
        .optional()
        .meta({ description: 'client id of the identity; default: AZURE_CLIENT_ID' }),
      tenant_id: z.string().min(1).optional().meta({ description: 'tenant id; default: AZURE_TENANT_ID' }),
      token_file: absolutePath()
        .optional()
        .meta({ description: 'file with the token; default: AZURE_FEDERATED_TOKEN_FILE' }),
    })
    .meta({ description: 'federated identity, as on Kubernetes' }),
]);

const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).hostname : '');

const archive = z
  .strictObject({
    endpoint: z
      .url({ protocol: /^https?$/, error: 'must be a URL such as https://ACCOUNT.blob.core.windows.net' })
      .refine(
        (text) => !URL.canParse(text) || new URL(text).search === '',
        'must be without a query; a SAS goes into a credential',
      )
      .refine((text) => !URL.canParse(text) || new URL(text).username === '', 'must be without a user name')
      .refine(
        (text) => !/\.dfs\./.test(hostOf(text)),
        'must be that of the Blob service, ACCOUNT.blob.…, not ACCOUNT.dfs.…',
      )
      .refine(
        (text) => !/^[a-z0-9]+-secondary\.blob\./.test(hostOf(text)),
        'must be the primary one: the secondary can only be read',
      )
      .refine(
        (text) => !/\.blob\./.test(hostOf(text)) || new URL(text).pathname === '/',
        'must be that of the account: the container has a key of its own',
      )
      .optional()
      .meta({ description: 'blob endpoint of the account; leave it out with a connection string' }),
    container: z
      .string()
      .regex(
        /^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
        'must be 3 to 63 lower-case letters, digits and single hyphens',
      )
      .meta({ description: 'container name' }),
    prefix: z
      .string()
      .max(512)
      .transform((text) => text.replace(/^\/+|\/+$/g, ''))
      .refine(
        (text) => text.split('/').every((part) => part !== '.' && part !== '..') && !text.includes('//'),
        "must not have '.', '..' or empty segments",
      )
      .prefault('')
      .meta({ description: 'put before every blob name, followed by a slash' }),
    credential: credential.meta({ description: 'how to sign in' }),
    access_tier: z
      .enum(['Hot', 'Cool', 'Cold'])
      .optional()
      .meta({ description: 'access tier of the blobs that are written; unset: the default of the account' }),
    on_conflict: z.enum(['fail', 'overwrite']).prefault('fail').meta({
      description:
        'what an archive does when a blob that lfsazsync did not write has its name; `overwrite` spares a blob that may be the copy of an imported file, which is every such blob unless a follower is running on the same machine',
    }),
    rehydrate: z.enum(['none', 'Standard', 'High']).prefault('none').meta({
      description: 'priority for bringing blobs back from the Archive tier; none: the restore fails and says so',
    }),
  })
  .refine((value) => value.endpoint !== undefined || value.credential.type === 'connection_string', {
    path: ['endpoint'],
    error: 'is required',
  })
  .refine((value) => value.endpoint === undefined || value.credential.type !== 'connection_string', {
    path: ['endpoint'],
    error: 'comes from the connection string; leave it out',
  });

const settings = z.strictObject({
  mount: absolutePath().meta({ description: 'mount point of the Lustre client' }),
  mdts: z
    .array(z.string().regex(/^[^-\s]+-MDT[0-9a-f]{4}$/i, "must look like 'lustre-MDT0000'"))
    .optional()
    .meta({ description: 'metadata targets, such as `lustre-MDT0000`; unset: those that the client knows' }),
  state_dir: absolutePath().prefault('/var/lib/lfsazsync').meta({ description: 'journals, catalog, audit log' }),
  run_dir: absolutePath().prefault('/run/lfsazsync').meta({ description: 'locks and sockets' }),
  liblustreapi: program().prefault('liblustreapi.so.1').meta({ description: 'library name or path' }),
  helper: absolutePath()
    .optional()
    .meta({ description: 'path of the native helper; unset: the one that is part of lfsazsync' }),
  lfs: program().prefault('lfs').meta({ description: 'the `lfs` program, by name (PATH) or path' }),
  lctl: program()
    .prefault('lctl')
    .meta({ description: 'the `lctl` program, by name (PATH) or path; used by `doctor` and `status`' }),
  log: z
    .strictObject({
      level: z
        .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
        .prefault('info')
        .meta({ description: 'lowest level that is logged' }),
      file: absolutePath().optional().meta({ description: 'log file; unset: standard error' }),
      audit_file: absolutePath()
        .optional()
        .meta({ description: 'log of deletions and overwrites; unset: `audit.log` in `state_dir`' }),
    })
    .prefault({})
    .meta({ description: 'logs' }),
  archives: z
    .record(
      z
        .string()
        .refine((id) => /^[1-9]\d{0,4}$/.test(id) && Number(id) <= 65_535, 'must be an archive id from 1 to 65535'),
      archive,
    )
    .prefault({})
    .meta({ description: 'HSM archive ids and their containers' }),
  copytool: z
    .strictObject({
      concurrency: count(1, 1024).prefault(16).meta({ description: 'actions carried out at the same time' }),
      restore_reserve: count(0, 1023).prefault(4).meta({ description: 'how many of these are kept free for restores' }),
      max_bytes_in_flight: size('1MiB', '64GiB').prefault('128MiB').meta({ description: 'memory for data in transit' }),
      bandwidth: rate()
        .prefault('unlimited')
        .meta({ description: 'bandwidth limit for archives and restores together' }),
      bandwidth_archive: rate().prefault('unlimited').meta({ description: 'bandwidth limit for archives' }),
      bandwidth_restore: rate().prefault('unlimited').meta({ description: 'bandwidth limit for restores' }),
      block_size: z
        .union([z.literal('auto'), size('64KiB', '4000MiB')], {
          error: "must be 'auto' or a size from 64KiB to 4000MiB",
        })
        .prefault('auto')
        .meta({ description: 'block size of uploads; auto: depends on the file size' }),
      range_size: size('64KiB', '1GiB').prefault('4MiB').meta({ description: 'range size of downloads' }),
      transfer_threads: z
        .union([z.literal('auto'), count(0, 64)], { error: "must be 'auto' or a number from 0 to 64" })
        .prefault('auto')
        .meta({
          description: 'threads that move data; auto: one less than there are cores, at most 8; 0: no extra threads',
        }),
      upload_concurrency_per_file: count(1, 128)
        .prefault(8)
        .meta({ description: 'blocks or ranges of one file in transit at the same time' }),
      heartbeat: duration('100ms', '10s')
        .prefault('5s')
        .meta({ description: 'interval of progress reports to the coordinator' }),
      registration_renewal: duration('1s', '1d').prefault('5m').meta({
        description: 'how often an idle copytool registers again, in case the coordinator has forgotten it',
      }),
      drain_timeout: duration('0s', '1d')
        .prefault('1m')
        .meta({ description: 'how long a stop waits for running actions' }),
      helper_threads: count(1, 256).prefault(18).meta({
        description:
          'threads of the native helper for actions and files; at least 4 * concurrency + 2 (at most 256) are used whatever is set: each may hang on a bad OST, and concurrency can be raised',
      }),
      locate_timeout: duration('0s', '1h')
        .prefault('30s')
        .meta({ description: 'how long a restore keeps looking for a copy that it does not find' }),
      stall_timeout: duration('100ms', '10m').prefault('1m').meta({
        description:
          'a connection to an endpoint is given up if no byte moves for this long, or if an answer trickles in with fewer than 16 KiB in this time, twice in a row',
      }),
      hold_timeout: duration('0s', '7d').prefault('1h').meta({
        description: 'how long actions are held while an endpoint does not answer or refuses the credential',
      }),
      rehydrate_timeout: duration('1s', '7d')
        .prefault('1d')
        .meta({ description: 'how long a restore waits for a copy to come back from the Archive tier' }),
    })
    .prefault({})
    .refine((value) => value.restore_reserve < value.concurrency, {
      path: ['restore_reserve'],
      error: 'must be less than copytool.concurrency',
    })
    .refine((value) => value.range_size <= value.max_bytes_in_flight, {
      path: ['range_size'],
      error: 'must not be more than copytool.max_bytes_in_flight',
    })
    .refine((value) => value.block_size === 'auto' || value.block_size <= value.max_bytes_in_flight, {
      path: ['block_size'],
      error: 'must not be more than copytool.max_bytes_in_flight',
    })
    .meta({ description: 'the HSM agent' }),
  request: z
    .strictObject({
      batch: count(1, 1000)
        .prefault(50)
        .meta({ description: 'files in one request to the coordinator (which refuses long ones)' }),
      parallel: count(1, 64).prefault(4).meta({ description: 'requests sent at the same time' }),
      poll_interval: duration('50ms', '1h')
        .prefault('1s')
        .meta({ description: 'how often files that are waited for are looked at' }),
      restore_outstanding: count(1, 100_000).prefault(1000).meta({
        description: 'most unfinished restores that one command has outstanding',
      }),
      restore_rate: z
        .union([z.literal('unlimited'), count(1, 1_000_000)], {
          error: "must be 'unlimited' or a number from 1 to 1000000",
        })
        .prefault(500)
        .meta({ description: 'most restores per second that one command asks for, or `unlimited`' }),
    })
    .prefault({})
    .meta({ description: 'requests to the coordinator' }),
  metadata: z
    .strictObject({
      xattrs: z.boolean().prefault(false).meta({
        description:
          'whether user extended attributes (`user.*`) and POSIX ACLs of files and directories are stored in the metadata of their blobs, and given back by `import` and `undelete`',
      }),
    })
    .prefault({})
    .meta({ description: 'what the container is told of files' }),
  scan: z
    .strictObject({
      threads: count(1, 256).prefault(8).meta({ description: 'threads that walk the file system' }),
    })
    .prefault({})
    .meta({ description: 'filling the catalog from the file system' }),
  sweep: z
    .strictObject({
      interval: z
        .union([z.literal('never'), duration('1m', '365d')], {
          error: "must be 'never' or a duration from 1m to 365d",
        })
        .prefault('1d')
        .meta({ description: 'how often the follower sweeps the containers' }),
      parallel: count(1, 64).prefault(8).meta({ description: 'requests to a container at the same time' }),
    })
    .prefault({})
    .meta({ description: 'holding the container against the catalog' }),
  follow: followSchema,
  removal: removalSchema,
  import: z
    .strictObject({
      threads: count(1, 256).prefault(16).meta({ description: 'threads that create files' }),
    })
    .prefault({})
    .meta({ description: 'making files from a container' }),
  classes: classesSchema,
  policies: policiesSchema,
  policy_run: z
    .strictObject({
      stall_timeout: duration('1s', '30d').prefault('5m').meta({
        description: 'a run that waits for its requests ends when none of them has moved for this long',
      }),
      verified_within: duration('0s', '365d').prefault('0s').meta({
        description:
          'before a release, a copy that a sweep has seen in the container within this time is not looked up again; 0s: it always is',
      }),
    })
    .prefault({})
    .meta({ description: 'runs of the policies' }),
  prices: pricesSchema,
});

export const configSchema = settings.superRefine(({ classes, policies }, context) => {
  for (const issue of policyIssues(classes, policies))
    context.addIssue({ code: 'custom', params: { offset: 0 }, ...issue });
});

/** The configuration with its keys as they stand in the file. */
export type RawConfig = z.output<typeof configSchema>;
export type RawArchive = z.output<typeof archive>;
