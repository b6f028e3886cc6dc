import { anyOf, type Comparison, type Expression, notOf } from './ast.ts';
import { globMatches, parseGlob } from './glob.ts';
import { mapComparisons } from './walk.ts';

/** What names in conditions stand for. */
export interface Names {
  /** Conditions of the classes, resolved themselves. */
  readonly classes: ReadonlyMap<string, Expression>;
  /** Where the file system is mounted: paths that begin with it are meant from there. */
  readonly mount?: string;
  /** Ids of names of users and groups, as far as they were looked up. */
  readonly owners?: ReadonlyMap<string, number>;
  readonly groups?: ReadonlyMap<string, number>;
}

/** A class that a condition names and nobody has defined. */
export class UnknownClassError extends Error {
  readonly className: string;
  readonly offset: number;

  constructor(className: string, offset: number) {
    super(`there is no class '${className}'`);
    this.className = className;
    this.offset = offset;
  }
}

/** Puts in what the names stand for. @throws UnknownClassError */
export function resolve(expression: Expression, names: Names): Expression {
  return mapComparisons(expression, (comparison) => resolved(comparison, names));
}

function resolved(comparison: Comparison, names: Names): Expression {
  switch (comparison.kind) {
    case 'class': {
      const terms = classesNamed(comparison, [...names.classes.keys()]).map(
        (name) => names.classes.get(name) as Expression,
      );
      const any = anyOf(...terms);
      return comparison.equal ? any : notOf(any);
    }
    case 'owner': {
      const ids = comparison.field === 'owner' ? names.owners : names.groups;
      return { ...comparison, id: comparison.id ?? ids?.get(comparison.name) };
    }
    case 'glob':
      return comparison.field === 'path' || comparison.field === 'tree'
        ? fromRoot(comparison, names.mount)
        : comparison;
    default:
      return comparison;
  }
}

/** The classes that a comparison means. @throws UnknownClassError when there is none */
export function classesNamed(
  comparison: Extract<Comparison, { kind: 'class' }>,
  known: readonly string[],
): readonly string[] {
  const found = known.filter((name) => globMatches(comparison.glob, Buffer.from(name), false));
  if (found.length === 0) throw new UnknownClassError(comparison.glob.text, comparison.start);
  return found;
}

function fromRoot(comparison: Extract<Comparison, { kind: 'glob' }>, mount: string | undefined): Expression {
  const { text } = comparison.glob;
  if (mount === undefined || mount === '/' || !(text === mount || text.startsWith(`${mount}/`))) return comparison;
  const rest = text.slice(mount.length);
  return { ...comparison, glob: { ...parseGlob(rest), text: rest === '' ? '/' : rest } };
}
