import type { Expression } from './ast.ts';
import { classesNamed, type Names, resolve } from './resolve.ts';
import { comparisonsOf } from './walk.ts';

/** A class that is defined by itself. */
export class ClassCycleError extends Error {
  readonly className: string;

  constructor(className: string, way: readonly string[]) {
    super(`is defined by itself: ${[...way, className].join(' → ')}`);
    this.className = className;
  }
}

/**
 * The classes with what they say of each other put in, in their order.
 * @throws UnknownClassError, ClassCycleError
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
    const expression = resolve(definition, { ...names, classes: inside });
    resolved.set(name, expression);
    return expression;
  };
  return new Map([...definitions.keys()].map((name) => [name, resolvedOf(name, [])]));
}

/** The classes that a condition names. @throws UnknownClassError */
export function classesIn(expression: Expression, known: ReadonlyMap<string, unknown>): string[] {
  return [...comparisonsOf(expression)].flatMap((comparison) =>
    comparison.kind === 'class' ? classesNamed(comparison, [...known.keys()]) : [],
  );
}
