import type { Catalog } from '../catalog/catalog.ts';
import type { Failure, Run } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { pathFields } from '../lustre/printable.ts';

/** A run for people and `--json`: documented in docs/policy-run.md. Times are ISO 8601. */
export interface PolicyRunRow {
  readonly id: number;
  readonly policy: string;
  readonly started: string;
  /** null: it is still at work, or was killed and no run of the policy has been since. */
  readonly ended: string | null;
  readonly outcome: string | null;
  /** Trigger, amounts, skips, failures, as of `policy-run --json`. */
  readonly detail: Readonly<Record<string, unknown>>;
}

const PAGE = 1_000;

/** The latest runs first. @param active only those that did something, or were not well */
export async function policyRunRows(
  catalog: Pick<Catalog, 'runs'>,
  { limit, policy, active }: { limit: number; policy?: string | undefined; active: boolean },
): Promise<PolicyRunRow[]> {
  const most = policy === undefined && !active ? limit : 100_000;
  const rows = (await catalog.runs('policy', most))
    .filter(({ name }) => policy === undefined || name === policy)
    .filter((run) => !active || isActive(run));
  return rows.slice(0, limit).map(({ id, name, started, ended, outcome, detail }) => ({
    id,
    policy: name,
    started: new Date(started).toISOString(),
    ended: ended === undefined ? null : new Date(ended).toISOString(),
    outcome: outcome ?? null,
    detail,
  }));
}

function isActive({ outcome, detail }: Run): boolean {
  const files = (field: string) => filesOf(detail, field);
  return outcome !== 'complete' || files('asked') + files('done') + files('failed') + files('markedDirty') > 0;
}

export function filesOf(detail: Readonly<Record<string, unknown>>, field: string): number {
  const amount = detail[field] as { files?: unknown } | undefined;
  return typeof amount?.files === 'number' ? amount.files : 0;
}

/** What fails, for people and `--json`. */
export interface PolicyFailureRow {
  readonly policy: string;
  readonly fid: Fid;
  /** Relative to the mount; neither field: none is known. */
  readonly path?: string;
  readonly path_b64?: string;
  readonly failures: number;
  readonly last: string;
  /** Until then it is left alone; null: until it is retried by hand. */
  readonly notBefore: string | null;
  readonly error: string;
}

/** Files that a policy failed with, with their paths. @param quarantineAfter as configured */
export async function* policyFailures(
  catalog: Pick<Catalog, 'failing' | 'paths' | 'tombstone'>,
  policy: string,
  kind: string,
  quarantineAfter: number,
): AsyncGenerator<PolicyFailureRow> {
  for await (const page of failing(catalog, kind)) {
    const paths = await catalog.paths(page.map(({ fid }) => fid));
    for (const { fid, count, at, notBefore, error } of page) {
      const found = paths.get(fid)?.find((one) => one.ok);
      const path = found?.ok === true ? found.path : (await catalog.tombstone(fid))?.path;
      yield {
        ...{ policy, fid, failures: count, error },
        ...(path === undefined ? {} : pathFields(path)),
        last: new Date(at).toISOString(),
        notBefore: count >= quarantineAfter ? null : new Date(notBefore).toISOString(),
      };
    }
  }
}

export async function* failing(catalog: Pick<Catalog, 'failing'>, kind: string): AsyncGenerator<Failure[]> {
  let after: Fid | undefined;
  do {
    const page: Failure[] = await catalog.failing(kind, after, PAGE);
    if (page.length > 0) yield page;
    after = page.length < PAGE ? undefined : page.at(-1)?.fid;
  } while (after !== undefined);
}
