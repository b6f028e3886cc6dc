import type { AgeField } from './ast.ts';
import type { PolicySubject } from './subject.ts';

/** The time that an age is counted from, seconds since 1970. */
export function timeOf(subject: PolicySubject, field: AgeField): number | null | undefined {
  switch (field) {
    case 'last_mod':
      return subject.mtime;
    case 'last_access':
      return subject.atime == null || subject.mtime == null ? undefined : Math.max(subject.atime, subject.mtime);
    case 'last_change':
      return subject.ctime;
    case 'creation':
      return subject.btime;
    case 'rm_time':
      return subject.removedAt;
  }
}
