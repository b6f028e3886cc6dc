import { HSM } from '../lustre/hsm-state.ts';
import type { Comparison, Expression, HsmFlag, NumberField, Operator } from './ast.ts';
import { type Glob, globMatches, globMatchesName, globMatchesPath, globMatchesTree } from './glob.ts';
import type { PolicySubject } from './subject.ts';
import { timeOf } from './subject-times.ts';

/** Whether a condition holds; undefined: something is unknown, and it depends on that. */
export type Truth = boolean | undefined;

export const HSM_BITS: Readonly<Record<HsmFlag, number>> = {
  exists: HSM.EXISTS,
  archived: HSM.ARCHIVED,
  dirty: HSM.DIRTY,
  released: HSM.RELEASED,
  lost: HSM.LOST,
  noarchive: HSM.NOARCHIVE,
  norelease: HSM.NORELEASE,
};

/** Whether it certainly holds. @param now milliseconds since 1970 */
export function evaluate(expression: Expression, subject: PolicySubject, now: number): boolean {
  return truthOf(expression, subject, now) === true;
}

/**
 * The same with three values, as Kleene has them: unknown `and` false is false, unknown `or` true is true, `not` unknown
 * is unknown. Whoever acts on files acts on `true` alone; what keeps a file from being acted on keeps it unless `false`.
 * Ages are counted in whole seconds, as times are kept.
 */
export function truthOf(expression: Expression, subject: PolicySubject, now: number): Truth {
  switch (expression.kind) {
    case 'constant':
      return expression.value;
    case 'not': {
      const truth = truthOf(expression.term, subject, now);
      return truth === undefined ? undefined : !truth;
    }
    case 'and':
    case 'or': {
      const decisive = expression.kind === 'or';
      let result: Truth = !decisive;
      for (const term of expression.terms) {
        const truth = truthOf(term, subject, now);
        if (truth === decisive) return decisive;
        if (truth === undefined) result = undefined;
      }
      return result;
    }
    default:
      return comparisonTruth(expression, subject, now);
  }
}

function comparisonTruth(comparison: Comparison, subject: PolicySubject, now: number): Truth {
  switch (comparison.kind) {
    case 'type':
      return (subject.type === comparison.type) === comparison.equal;
    case 'number':
      return compared(numberOf(subject, comparison.field), comparison.operator, comparison.value);
    case 'age': {
      const time = timeOf(subject, comparison.field);
      return time == null ? undefined : compared(wholeSeconds(now) - time, comparison.operator, comparison.seconds);
    }
    case 'owner': {
      if (comparison.id === undefined) return undefined; // a name that was not looked up
      return compared(comparison.field === 'owner' ? subject.uid : subject.gid, comparison.operator, comparison.id);
    }
    case 'hsm':
      return subject.hsm == null ? undefined : ((subject.hsm & HSM_BITS[comparison.flag]) !== 0) === comparison.equal;
    case 'ost':
      return subject.osts == null ? undefined : subject.osts.includes(comparison.index) === comparison.equal;
    case 'xattr': {
      if (subject.xattrs == null) return undefined;
      const value = subject.xattrs.get(comparison.name) ?? NOTHING; // Robinhood's rule: '' is an absent one, too
      return globMatches(comparison.glob, value, false) === comparison.equal;
    }
    case 'glob':
      return opposite(globTruth(comparison.field, comparison.glob, subject), comparison.equal);
    case 'class':
      return undefined; // classes are put in place by `resolve`
  }
}

const NOTHING = Buffer.alloc(0);

/** The second in which a moment is. */
export const wholeSeconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);

const opposite = (truth: Truth, equal: boolean): Truth => (truth === undefined ? undefined : truth === equal);

function compared(value: number | bigint | null | undefined, operator: Operator, wanted: number): Truth {
  if (value === null || value === undefined) return undefined;
  switch (operator) {
    case '<':
      return value < wanted;
    case '<=':
      return value <= wanted;
    case '>':
      return value > wanted;
    case '>=':
      return value >= wanted;
    default:
      return (value >= wanted && value <= wanted) === (operator === '==');
  }
}

function numberOf(subject: PolicySubject, field: NumberField): number | bigint | null | undefined {
  switch (field) {
    case 'archive_id':
      return subject.archive;
    case 'depth': {
      const [path] = subject.paths ?? [];
      return path === undefined ? undefined : depthOf(path);
    }
    default:
      return subject[field];
  }
}

/** Directories above it, the root not counted: Robinhood's way. With several names, that of the first counts. */
function depthOf(path: Buffer): number {
  let depth = 0;
  for (const byte of path) if (byte === 0x2f) depth += 1;
  return depth;
}

/** Whether one of the names or paths matches, or the pool does. Without any name it is unknown what the name would be. */
function globTruth(field: 'name' | 'path' | 'tree' | 'pool', glob: Glob, subject: PolicySubject): Truth {
  if (field === 'pool') return subject.pool == null ? undefined : globMatches(glob, Buffer.from(subject.pool), false);
  if (field === 'name' && subject.names != null) return anyMatches(glob, subject.names, nameMatches);
  const { paths } = subject;
  if (paths == null || paths.length === 0) return undefined;
  return anyMatches(glob, paths, WAYS[field]);
}

/** A loop: this is asked of every file that is gone through. */
function anyMatches<Item>(glob: Glob, items: readonly Item[], matches: (glob: Glob, item: Item) => boolean): boolean {
  for (const item of items) if (matches(glob, item)) return true;
  return false;
}

const nameMatches = (glob: Glob, name: Uint8Array) => globMatches(glob, name, false);
const WAYS = { name: globMatchesName, path: globMatchesPath, tree: globMatchesTree };
