import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { offsetInSource } from './yaml-scalar.ts';

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A YAML text as plain data, with the places where things stand. */
export interface YamlSource {
  readonly tree: Record<string, unknown>;
  /** Where the value at a path stands; undefined when the path is not in the text. */
  valueAt(path: readonly string[]): Position | undefined;
  /** Where a character of the text stands that is at a path, or that stands in place of a list there. */
  within(path: readonly string[], offset: number): Position | undefined;
  /** Where the key at a path stands. */
  keyAt(path: readonly string[]): Position | undefined;
}

/** A syntax error: what and where. */
export interface YamlFault extends Position {
  readonly message: string;
}

/** Reads a YAML text whose root is a map (or nothing at all). */
export function parseYaml(text: string): { source: YamlSource } | { faults: readonly YamlFault[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    return { faults: document.errors.map((error) => ({ message: error.message, ...position(error.pos[0]) })) };
  }
  const root = document.contents;
  if (root !== null && !isMap(root) && !(isScalar(root) && root.value === null)) {
    return { faults: [{ message: 'must be a map of keys and values', line: 1, column: 1 }] };
  }
  let tree: Record<string, unknown>;
  try {
    tree = (document.toJS({ maxAliasCount: 100 }) ?? {}) as Record<string, unknown>;
  } catch (error) {
    return { faults: [{ message: error instanceof Error ? error.message : String(error), line: 1, column: 1 }] };
  }

  const find = (path: readonly string[]): { key: Node | undefined; value: Node | undefined } | undefined => {
    let key: Node | undefined;
    let value: unknown = root;
    for (const part of path) {
      if (isAlias(value)) value = value.resolve(document);
      if (isMap(value)) {
        const pair = value.items.find(
          (item) => (isScalar(item.key) ? String(item.key.value) : String(item.key)) === part,
        );
        if (pair === undefined) return undefined;
        key = pair.key as Node;
        value = pair.value;
      } else if (isSeq(value) && value.items[Number(part)] !== undefined) {
        value = value.items[Number(part)];
        key = value as Node;
      } else return undefined;
    }
    return { key, value: (value ?? undefined) as Node | undefined };
  };
  const start = (node: Node | undefined): Position | undefined =>
    node?.range === undefined || node.range === null ? undefined : position(node.range[0]);

  return {
    source: {
      tree,
      valueAt: (path) => start(find(path)?.value) ?? start(find(path)?.key),
      within: (path, offset) => {
        const node = find(path)?.value ?? find(path.slice(0, -1))?.value;
        if (!isScalar(node) || typeof node.value !== 'string' || node.range == null) return undefined;
        const [from, to] = node.range;
        return position(from + offsetInSource(text.slice(from, to), node.value, offset));
      },
      keyAt: (path) => start(find(path)?.key),
    },
  };
}
