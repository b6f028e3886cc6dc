import type { Selection } from '../../catalog/selection.ts';
import { allOf, anyOf, type Expression, notOf } from '../../expression/ast.ts';
import { type Needs, needsOf } from '../../expression/walk.ts';
import type { Policy } from '../policies.ts';
import type { RunTarget } from './target.ts';

/** What candidates must meet by the catalog, as a condition. */
export function conditionOf(policy: Policy, target: RunTarget | undefined, ignoreConditions: boolean): Expression {
  const ruled = ignoreConditions
    ? allOf(notOf(policy.ignore), anyOf(...policy.rules.map((rule) => rule.target)))
    : policy.candidates;
  return target === undefined ? ruled : allOf(target.expression, ruled);
}

/** What must be read of a file to judge it. @param more what else is asked of it */
export function needsFor(policy: Policy, target: RunTarget | undefined, more: Needs): Needs {
  const own = needsOf(target?.expression);
  const { paths, creation, xattrs } = policy.needs;
  return {
    paths: paths || own.paths || more.paths,
    creation: creation || own.creation || more.creation,
    xattrs: [...new Set([...xattrs, ...more.xattrs])],
  };
}

/** How the catalog is asked for candidates. @param ost for those with objects there */
export function selectionOf(policy: Policy, where: Expression, now: number, ost: number | undefined): Selection {
  const { by, ascending } = policy.sort;
  return {
    scope: policy.action === 'release' ? 'releasable' : 'archivable',
    where,
    now,
    order: by === 'rm_time' ? 'none' : by,
    descending: !ascending,
    ...(ost === undefined ? {} : { ost }),
  };
}
