import type { Expression } from '../expression/ast.ts';
import { wholeSeconds } from '../expression/evaluate.ts';
import type { Value } from './database.ts';
import type { Selection } from './selection.ts';
import { agesIn, ENTRY, type WhereColumns } from './where.ts';

/** A walk through a scope in the order of an index. */
export interface IndexWalk {
  /** Bounds of the index's value. */
  readonly from: number;
  readonly to: number;
  readonly descending: boolean;
  /** FROM and WHERE of the index alone, with its columns `value` and `key`; the values of its parameters. */
  readonly index: string;
  readonly where: string;
  readonly values: readonly Value[];
  readonly value: string;
  readonly key: string;
  /** What brings in the row `e` of `entries`. */
  readonly join: string;
  /** The file's size; whether it counts here, where several walks meet it. */
  readonly size: string;
  readonly first: string;
  /** What is known without the entry, which at worst is a page of its own. */
  readonly columns: WhereColumns;
}

export function archivableWalk(selection: Selection, expression: Expression): IndexWalk {
  return {
    ...boundsOf(selection, expression, 'last_mod'),
    ...{ index: 'archivable a', join: 'CROSS JOIN entries e ON e.fid = a.fid' },
    ...{ where: '1', values: [], value: 'a.mtime', key: 'a.fid', size: 'a.size', first: '1' },
    columns: { size: 'a.size', uid: 'a.uid', gid: 'a.gid', project: 'a.project', last_mod: 'a.mtime' },
  };
}

export function releasableWalk(ost: number, selection: Selection, expression: Expression): IndexWalk {
  return {
    ...boundsOf(selection, expression, 'last_access'),
    ...{ index: 'releasable r', join: 'CROSS JOIN entries e ON e.fid = r.fid' },
    ...{ where: 'r.ost = ?', values: [ost], value: 'r.used', key: 'r.fid', size: 'r.size', first: 'r.first' },
    columns: { size: 'r.size', uid: 'r.uid', gid: 'r.gid', project: 'r.project', last_access: 'r.used' },
  };
}

/** Everything, in the order of the keys. */
export const wholeWalk: IndexWalk = {
  ...{ from: 0, to: Number.MAX_SAFE_INTEGER, descending: false },
  ...{ index: 'entries e', join: '', where: '1', values: [], value: 'e.fid', key: 'e.fid' },
  ...{ size: 'e.size', first: '1', columns: ENTRY },
};

function boundsOf(
  { now, descending = false }: Selection,
  expression: Expression,
  field: 'last_mod' | 'last_access',
): Pick<IndexWalk, 'from' | 'to' | 'descending'> {
  const { least, most } = agesIn(expression, field);
  const seconds = wholeSeconds(now);
  const bounded = (time: number) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, time));
  return { from: bounded(seconds - most), to: bounded(seconds - least), descending };
}
