import { RecordType } from '../lustre/changelog-record.ts';

type TypeName = keyof typeof RecordType;

/** What is missed without a type of record, for those that carry something to the container. */
const NEEDED: Readonly<Partial<Record<TypeName, string>>> = {
  CREAT: 'new files',
  MKDIR: 'new directories',
  HLINK: 'new hard links',
  SLINK: 'new symlinks',
  UNLNK: 'deleted files',
  RMDIR: 'deleted directories',
  RENME: 'renames',
  CLOSE: 'files that were written, and modification times that were set',
  SATTR: 'changed owners, groups and modes',
  HSM: 'archives, releases and restores as they are done',
};

/** Records after which a type that never came is worth telling about. */
const ENOUGH = 10_000;

export interface MissingType {
  readonly type: TypeName;
  readonly missed: string;
}

/**
 * Which types of records an MDT has never sent, though it has sent many: its mask may leave them out, which a client can't
 * ask. It may also be that nobody did such a thing; so this is a notice, not an error.
 * @param types records by type, since the catalog exists
 */
export function missingTypes(types: ReadonlyMap<number, number>, enough = ENOUGH): MissingType[] {
  const total = [...types.values()].reduce((sum, count) => sum + count, 0);
  if (total < enough) return [];
  return (Object.keys(NEEDED) as TypeName[])
    .filter((name) => !types.has(RecordType[name]))
    .map((type) => ({ type, missed: NEEDED[type] as string }));
}
