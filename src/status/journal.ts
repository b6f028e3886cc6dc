import type { Catalog } from '../catalog/catalog.ts';
import type { JournalEntry } from '../catalog/types.ts';
import { reasonWords } from '../follow/reasons.ts';
import { type Fid, parseFid } from '../identity/fid.ts';
import { pathFields, printable } from '../lustre/printable.ts';
import { OperatorError } from '../service/errors.ts';

const PAGE = 1_000;

export type JournalState = 'waiting' | 'quarantined';

/** A row of the journal for people and `--json`: documented in docs/journal.md. Times are ISO 8601. */
export interface JournalRow {
  readonly fid: Fid;
  /** The lowest of its names, relative to the mount; neither field: none is known. */
  readonly path?: string;
  readonly path_b64?: string;
  readonly state: JournalState;
  readonly reasons: readonly string[];
  /** Of the oldest change behind it. */
  readonly since: string;
  /** Not before; null: at once, or not at all. */
  readonly notBefore: string | null;
  readonly tries: number;
  readonly error: string | null;
  readonly quarantinedAt: string | null;
}

/** Rows with their paths: what is given up for now first, then what waits, longest due first. @param limit most rows */
export async function* journalRows(
  catalog: Catalog,
  { quarantinedOnly, limit }: { quarantinedOnly: boolean; limit: number },
): AsyncGenerator<JournalRow> {
  let left = limit;
  for await (const page of pages(catalog, quarantinedOnly)) {
    const taken = page.slice(0, left);
    const paths = await catalog.paths(taken.map(({ fid }) => fid));
    for (const entry of taken) {
      const found = paths.get(entry.fid)?.find((one) => one.ok);
      yield rowOf(entry, found?.ok === true ? found.path : (await catalog.tombstone(entry.fid))?.path);
    }
    left -= taken.length;
    if (left <= 0) return;
  }
}

/** FIDs of all that is given up for now. */
export async function* quarantined(catalog: Catalog): AsyncGenerator<JournalEntry[]> {
  let after: Fid | undefined;
  do {
    const page = await catalog.quarantine(after, PAGE);
    if (page.length > 0) yield page;
    after = page.length < PAGE ? undefined : page.at(-1)?.fid;
  } while (after !== undefined);
}

async function* pages(catalog: Catalog, quarantinedOnly: boolean): AsyncGenerator<JournalEntry[]> {
  yield* quarantined(catalog);
  if (quarantinedOnly) return;
  let after: JournalEntry | undefined;
  do {
    const page = await catalog.journalDue(Number.MAX_SAFE_INTEGER, PAGE, after);
    if (page.length > 0) yield page;
    after = page.length < PAGE ? undefined : page.at(-1);
  } while (after !== undefined);
}

function rowOf(entry: JournalEntry, path: Buffer | undefined): JournalRow {
  const { fid, reasons, since, notBefore, tries, error, quarantinedAt } = entry;
  const time = (ms: number) => new Date(ms).toISOString();
  return {
    fid,
    ...(path === undefined ? {} : pathFields(path)),
    state: quarantinedAt === undefined ? 'waiting' : 'quarantined',
    reasons: reasonWords(reasons),
    since: time(since * 1000),
    notBefore: quarantinedAt !== undefined || notBefore === 0 ? null : time(notBefore),
    tries,
    error: error ?? null,
    quarantinedAt: quarantinedAt === undefined ? null : time(quarantinedAt),
  };
}

/** A row's path as one safe line, or its FID. */
export function placeOf({ path, path_b64, fid }: Pick<JournalRow, 'path' | 'path_b64' | 'fid'>): string {
  if (path === undefined && path_b64 === undefined) return fid;
  return printable(path === undefined ? Buffer.from(path_b64 ?? '', 'base64') : Buffer.from(path));
}

/**
 * What an operator named: FIDs, or paths below the mount as the catalog knows them, which need not be there any more.
 * @param mount as configured
 * @throws OperatorError for what is neither
 */
export async function fidsNamed(catalog: Catalog, mount: string, names: readonly Buffer[]): Promise<Fid[]> {
  const prefix = Buffer.from(`${mount.replace(/\/+$/, '')}/`);
  const fids: Fid[] = [];
  for (const name of names) {
    const below = name.subarray(0, prefix.length).equals(prefix);
    const fid =
      parseFid(name.toString('latin1')) ?? (below ? await catalog.lookup(name.subarray(prefix.length)) : undefined);
    if (fid === undefined) {
      throw new OperatorError(`The catalog knows nothing by the name of ${printable(name)}.`, {
        code: 'NOT_IN_CATALOG',
        hint: `Name a FID, as \`lfsazsync journal list\` shows it, or an absolute path below ${mount}.`,
        exit: 'usage',
      });
    }
    fids.push(fid);
  }
  return fids;
}
