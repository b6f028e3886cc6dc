import type { Expression } from './ast.ts';
import { classesNamed, type Names, resolve } from './resolve.ts';
import { comparisonsOf, sizeOf } from './walk.ts';

/** A class that is defined by itself. */
export class ClassCycleError extends Error {
  readonly className: string;

  constructor(className: string, way: readonly string[]) {
    super(`is defined by itself: ${[...way, className].join(' → ')}`);
    this.className = className;
  }
}

/** Far more than anybody writes; classes made of classes can multiply without end. */
const MOST_COMPARISONS = 10_000;

/** A class that is made of too much. */
export class ClassTooLargeError extends Error {
  readonly className: string;

  constructor(className: string) {
    super(`is made of more than ${MOST_COMPARISONS} comparisons`);
    this.className = className;
  }
}

/**
 * The classes with what they say of each other put in, in their order.
 * @throws UnknownClassError, ClassCycleError, ClassTooLargeError
 */
export function resolveClasses(
  definitions: ReadonlyMap<string, Expression>,
  names: Omit<Names, 'classes'> = {},
): Map<string, Expression> {
  const resolved = new Map<string, Expression>();
  const resolvedOf = (name: string, way: readonly string[]): Expression => {
    const found = resolved.get(name);
    if (found !== undefined) return found;
    if (way.includes(name)) throw new ClassCycleError(name, way.slice(way.indexOf(name)));
    const definition = definitions.get(name) as Expression;
    const inside = new Map<string, Expression>();
    for (const other of classesIn(definition, definitions)) inside.set(other, resolvedOf(other, [...way, name]));
    // Before it is put together: what it would become.
    const size = comparisons(definition, inside);
    if (size > MOST_COMPARISONS) throw new ClassTooLargeError(name);
    const expression = resolve(definition, { ...names, classes: inside });
    resolved.set(name, expression);
    return expression;
  };
  return new Map([...definitions.keys()].map((name) => [name, resolvedOf(name, [])]));
}

function comparisons(definition: Expression, inside: ReadonlyMap<string, Expression>): number {
  let size = 0;
  for (const comparison of comparisonsOf(definition)) {
    if (comparison.kind !== 'class') size += 1;
    else
      for (const name of classesNamed(comparison, [...inside.keys()])) size += sizeOf(inside.get(name) as Expression);
  }
  return size;
}

/** The classes that a condition names. @throws UnknownClassError */
export function classesIn(expression: Expression, known: ReadonlyMap<string, unknown>): string[] {
  return [...comparisonsOf(expression)].flatMap((comparison) =>
    comparison.kind === 'class' ? classesNamed(comparison, [...known.keys()]) : [],
  );
}
