import type { Catalog } from '../../catalog/catalog.ts';
import type { Cursor } from '../../catalog/types.ts';
import { RecordType } from '../../lustre/changelog-record.ts';
import { pause } from '../../service/bell.ts';
import type { Log } from '../../service/log.ts';
import { missingTypes } from '../record-types.ts';

const EVERY_MS = 60_000;
const KNOWN: ReadonlySet<number> = new Set(Object.values(RecordType));

/** Numbers of the types of records that came and are not known to this version. */
export function unknownTypes({ types }: Pick<Cursor, 'types'>): number[] {
  return [...types.keys()].filter((type) => !KNOWN.has(type)).sort((a, b) => a - b);
}

/** Says once in the log which types of records never come, and which are not known. */
export async function watchTypes(catalog: Catalog, log: Log, stop: AbortSignal): Promise<void> {
  const told = new Set<string>();
  while (!stop.aborted) {
    for (const cursor of await catalog.cursors()) tell(cursor, told, log);
    await pause(EVERY_MS, stop);
  }
}

function tell(cursor: Cursor, told: Set<string>, log: Log): void {
  const { mdt } = cursor;
  const isNew = (what: string) => !told.has(`${mdt} ${what}`) && told.add(`${mdt} ${what}`) !== undefined;
  for (const { type, missed } of missingTypes(cursor.types)) {
    if (!isNew(type)) continue;
    log.warn('no such record among many', {
      ...{ mdt, type, missed },
      hint: `Unless nobody did such a thing, the changelog's mask leaves it out: on the MGS, \`lctl set_param -P mdd.${mdt}.changelog_mask=+${type}\`.`,
    });
  }
  for (const type of unknownTypes(cursor)) {
    if (isNew(String(type))) log.warn('records of a type that this version does not know', { mdt, type });
  }
}
