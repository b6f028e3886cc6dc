import type { Tombstone } from '../catalog/types.ts';
import type { PolicySubject } from '../expression/subject.ts';

/** A dead file as conditions see it: what nobody kept of it is unknown. */
export function subjectOfDead(stone: Tombstone): PolicySubject {
  const { type, mode, uid, gid, size, mtime, archive, diedAt, path } = stone;
  return {
    ...{ type, mode, uid, gid, size, mtime, archive },
    removedAt: diedAt,
    paths: path === undefined ? undefined : [path],
  };
}
