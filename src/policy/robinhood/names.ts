import type { RhBlock } from './parser.ts';

/** Stands for a class or a condition that has no equivalent: no file is in it. Whatever depends on it is not enabled. */
export const NO_FILE = 'size < 0';

export const isNamed = (block: RhBlock, name: string): boolean => block.name.toLowerCase() === name;

/** A name as ours are: they begin with a letter. */
export const nameOf = (name: string): string =>
  (/^[A-Za-z]/.test(name) ? name : `x${name}`).replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 64);

/** What a table has under a name; names are Robinhood's, and may be any word. */
export const inTable = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/** Whether a condition of ours names a class. */
export const mentions = (text: string, className: string): boolean =>
  new RegExp(`\\bclass (?:==|!=) ${className.replaceAll('.', '\\.')}(?![\\w.-])`).test(text);
