import type { Catalog } from '../catalog/catalog.ts';
import type { Failure } from '../catalog/types.ts';
import { classesOf } from '../classes/classes.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { type Fid, parseFid } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import { canArchive, canRelease, describeState, REASONS, type Reason } from '../lustre/hsm-state.ts';
import { locate } from '../lustre/location.ts';
import { printable } from '../lustre/printable.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import { subjectOfDead } from './dead.ts';
import { outlookOf } from './due.ts';
import type { Policies, Policy } from './policies.ts';

/** Why a policy does nothing with a file although a rule may say that it is time. */
export type Hold = Reason | 'NOT_A_FILE' | 'ALIVE' | 'DEAD' | 'DISABLED' | 'BACKOFF' | 'QUARANTINED' | 'BY_FOLLOWER';

export interface PolicyExplanation {
  readonly policy: Policy;
  /** The rule that it falls under; undefined: none, and why. */
  readonly rule: string | undefined;
  readonly reason: 'ignored' | 'no-rule' | 'unknown' | undefined;
  /** When its condition holds, seconds since 1970; undefined: not by waiting. */
  readonly dueAt: number | undefined;
  /** What keeps it from being done, however long ago it was due. */
  readonly holds: readonly Hold[];
}

export interface Explanation {
  /** As it was named. */
  readonly named: Buffer;
  readonly fid: Fid;
  readonly subject: PolicySubject;
  /** `lfs hsm_state` in words; undefined of what is dead, or has none. */
  readonly state: string | undefined;
  readonly classes: readonly string[];
  /** Classes of which it can't be told. */
  readonly unsure: readonly string[];
  readonly policies: readonly PolicyExplanation[];
}

export interface ExplainOptions {
  readonly policies: Policies;
  readonly files: LustreFiles;
  /** The mount point, canonical. */
  readonly mount: string;
  /** Knows of the dead, and of what failed before. Without it, only living files are explained. */
  readonly catalog: Catalog | undefined;
  /** How long what dead files left is kept whatever the rules say, milliseconds, and who removes it. */
  readonly removal: { readonly grace: number; readonly by: 'follow' | 'policy' };
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * What the policies say of a file, by what the file system shows of it now.
 * @param named a path, or a FID (of a file that is gone, too)
 * @throws OperatorError when there is no such file
 */
export async function explain(named: Buffer, options: ExplainOptions): Promise<Explanation> {
  const found = await find(named, options);
  const { fid, subject } = found;
  const { sure, unsure } = classesOf(options.policies.classes, subject, options.now);
  const failures = (await options.catalog?.failures([fid]))?.get(fid) ?? [];
  return {
    named,
    fid,
    subject,
    state: subject.hsm == null || subject.type !== 'file' || found.dead ? undefined : describeState(stateOf(subject)),
    classes: sure.map(({ name }) => name),
    unsure: unsure.map(({ name }) => name),
    policies: [...options.policies.policies.values()].map((policy) => explainPolicy(policy, found, failures, options)),
  };
}

interface Found {
  readonly fid: Fid;
  readonly subject: PolicySubject;
  readonly dead: boolean;
}

function explainPolicy(
  policy: Policy,
  found: Found,
  failures: readonly Failure[],
  { now, removal }: ExplainOptions,
): PolicyExplanation {
  const { subject, dead } = found;
  const { verdict, at } = outlookOf(policy, subject, now);
  const kept = policy.action === 'remove' ? (subject.removedAt ?? 0) + Math.ceil(removal.grace / 1000) : 0;
  const holds: Hold[] = [];
  if (!policy.enabled) holds.push('DISABLED');
  if (policy.action === 'remove') {
    if (!dead) holds.push('ALIVE');
    else if (removal.by === 'follow') holds.push('BY_FOLLOWER');
  } else if (dead) holds.push('DEAD');
  else if (subject.type !== 'file') holds.push('NOT_A_FILE');
  else holds.push(...stateHolds(policy, subject, subject.archive || verdict.rule?.archiveId));
  const failure = failures.find(({ kind }) => kind === `policy:${policy.name}`);
  if (failure !== undefined && failure.count >= policy.backoff.quarantineAfter) holds.push('QUARANTINED');
  else if (failure !== undefined && failure.notBefore > now) holds.push('BACKOFF');
  return {
    policy,
    rule: verdict.rule?.name,
    reason: verdict.rule === undefined ? verdict.reason : undefined,
    dueAt: at === undefined ? undefined : Math.max(at, kept),
    holds,
  };
}

function stateHolds(policy: Policy, subject: PolicySubject, archive: number | undefined): Hold[] {
  if (subject.hsm == null) return [];
  const state = stateOf(subject);
  const verdict =
    policy.action === 'archive' ? canArchive(state, archive) : canRelease(state, BigInt(subject.size ?? 0));
  return verdict.verdict === 'ask' ? [] : [verdict.reason];
}

const stateOf = (subject: PolicySubject) => ({ states: subject.hsm ?? 0, archive: subject.archive ?? 0 });

async function find(named: Buffer, { policies, files, mount, catalog }: ExplainOptions): Promise<Found> {
  const given = parseFid(named.toString('utf8'));
  const xattrs = [...new Set([...policies.policies.values()].flatMap(({ needs }) => needs.xattrs))];
  const want = { parts: ['paths', ...(xattrs.length > 0 ? (['xattrs'] as const) : [])], xattrs } as const;
  try {
    const target = given === undefined ? { path: (await locate(named, mount)).absolute } : { fid: given };
    const attributes = await files.get(target, want);
    const [state] = await files.entries([attributes.fid]);
    if (state === undefined || state instanceof Error) throw state ?? new ErrnoError(ERRNO.ENOENT, 'entries');
    const values = attributes.errors.has('xattrs') ? {} : { xattrs: attributes.xattrs ?? new Map() };
    return { fid: attributes.fid, dead: false, subject: { ...state, paths: attributes.paths, ...values } };
  } catch (error) {
    const isMissing = error instanceof ErrnoError || (error instanceof Error && 'syscall' in error);
    if (!isMissing) throw error;
    const stone =
      given === undefined || !(error instanceof ErrnoError) || error.errno !== ERRNO.ENOENT
        ? undefined
        : await catalog?.tombstone(given);
    if (stone !== undefined) return { fid: stone.fid, dead: true, subject: subjectOfDead(stone) };
    throw new OperatorError(`${printable(named)}: ${error.message}`, {
      code: 'FILE_UNREADABLE',
      hint: 'Name files below the mount point, or FIDs of files that were removed since the last scan.',
      cause: error,
    });
  }
}

/** A hold in words. */
export function holdText(hold: Hold): string {
  const own: Readonly<Record<string, string>> = {
    NOT_A_FILE: 'is not a regular file',
    ALIVE: 'only once the file was removed',
    DEAD: 'is gone',
    DISABLED: 'the policy is not enabled',
    BACKOFF: 'failed before, and is left alone for a while',
    BY_FOLLOWER: 'the follower removes it after `removal.grace`; with `removal.by: policy` this policy does',
    QUARANTINED: 'failed too often, and is left alone',
  };
  return own[hold] ?? REASONS[hold as Reason];
}
