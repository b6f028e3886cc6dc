import type { FileType } from '../lustre/attributes.ts';
import type { Glob } from './glob.ts';

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** HSM flags as conditions name them. */
export type HsmFlag = 'exists' | 'archived' | 'dirty' | 'released' | 'lost' | 'noarchive' | 'norelease';

/** Ages: how long ago something was. */
export type AgeField = 'last_mod' | 'last_access' | 'last_change' | 'creation' | 'rm_time';
export type NumberField = 'size' | 'project' | 'mode' | 'nlink' | 'depth' | 'archive_id';
export type GlobField = 'name' | 'path' | 'tree' | 'pool';

/** Characters of the text that it was read from; 0 to 0 of what was made otherwise. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * One comparison. With `==` and `!=`, `!=` is exactly the opposite; of what there may be several (names, paths, OSTs),
 * `==` means that one of them is.
 */
export type Comparison = Span &
  (
    | { readonly kind: 'type'; readonly equal: boolean; readonly type: FileType }
    | { readonly kind: 'number'; readonly field: NumberField; readonly operator: Operator; readonly value: number }
    | { readonly kind: 'age'; readonly field: AgeField; readonly operator: Operator; readonly seconds: number }
    | { readonly kind: 'glob'; readonly field: GlobField; readonly equal: boolean; readonly glob: Glob }
    | { readonly kind: 'xattr'; readonly name: string; readonly equal: boolean; readonly glob: Glob }
    /** `id` is there when a number was written, or the name was looked up. */
    | {
        readonly kind: 'owner';
        readonly field: 'owner' | 'group';
        readonly operator: Operator;
        readonly name: string;
        readonly id: number | undefined;
      }
    | { readonly kind: 'ost'; readonly equal: boolean; readonly index: number }
    | { readonly kind: 'class'; readonly equal: boolean; readonly glob: Glob }
    | { readonly kind: 'hsm'; readonly equal: boolean; readonly flag: HsmFlag }
  );

/** A condition on files, typed. */
export type Expression =
  | Comparison
  | (Span & { readonly kind: 'constant'; readonly value: boolean })
  | (Span & { readonly kind: 'not'; readonly term: Expression })
  | (Span & { readonly kind: 'and' | 'or'; readonly terms: readonly Expression[] });

const NOWHERE: Span = { start: 0, end: 0 };

export const ALWAYS: Expression = { kind: 'constant', value: true, ...NOWHERE };
export const NEVER: Expression = { kind: 'constant', value: false, ...NOWHERE };

/** All of them; without any: always. */
export function allOf(...terms: readonly Expression[]): Expression {
  const kept = terms.filter((term) => term.kind !== 'constant' || !term.value);
  if (kept.some((term) => term.kind === 'constant')) return NEVER;
  return joined('and', kept) ?? ALWAYS;
}

/** Any of them; without any: never. */
export function anyOf(...terms: readonly Expression[]): Expression {
  const kept = terms.filter((term) => term.kind !== 'constant' || term.value);
  if (kept.some((term) => term.kind === 'constant')) return ALWAYS;
  return joined('or', kept) ?? NEVER;
}

/** The opposite. */
export function notOf(term: Expression): Expression {
  if (term.kind === 'constant') return term.value ? NEVER : ALWAYS;
  return term.kind === 'not' ? term.term : { kind: 'not', term, ...NOWHERE };
}

function joined(kind: 'and' | 'or', terms: readonly Expression[]): Expression | undefined {
  const flat = terms.flatMap((term) => (term.kind === kind ? term.terms : [term]));
  return flat.length < 2 ? flat[0] : { kind, terms: flat, ...NOWHERE };
}
