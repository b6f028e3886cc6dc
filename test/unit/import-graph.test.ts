import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
/** What costs a light command its start: loaded by `await import` where it is needed. */
const HEAVY = /^(@azure\/|node:sqlite$|ink$|ink-|react$|react-|prom-client$|node:worker_threads$)/;

/** What a module loads before it does anything: its static imports that are not types alone. */
function imports(source: string): string[] {
  const statements = /^(?:import|export)\s+(?!type\b)(?:([^'"();]*?)\sfrom\s*)?['"]([^'"]+)['"]/gm;
  return [...source.matchAll(statements)].flatMap(([, names, from]) => {
    const listed = /^\{(.*)\}$/s
      .exec(names?.trim() ?? '')?.[1]
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    const typesOnly = listed !== undefined && listed.length > 0 && listed.every((name) => name.startsWith('type '));
    return typesOnly || from === undefined ? [] : [from];
  });
}

/** Every package that is loaded with a module, each with the way to it. */
function packages(entry: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const seen = new Set<string>();
  const visit = (file: string, way: readonly string[]) => {
    if (seen.has(file)) return;
    seen.add(file);
    const here = [...way, relative(ROOT, file)];
    for (const from of imports(readFileSync(file, 'utf8'))) {
      if (from.startsWith('.')) visit(resolve(dirname(file), from), here);
      else if (!found.has(from)) found.set(from, here);
    }
  };
  visit(entry, []);
  return found;
}

const commands = readdirSync(join(ROOT, 'commands'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

test('the reader of imports sees what it should', () => {
  const source =
    "import a, { type B } from 'a';\nimport type { C } from 'c';\nimport { type D } from 'd';\nimport 'e';\nexport { f } from 'f';\nimport {\n  g,\n  type H,\n} from 'g';\nconst i = await import('i');\n";
  expect(imports(source)).toEqual(['a', 'e', 'f', 'g']);
  expect(commands.length).toBeGreaterThan(10);
  expect([...packages(join(ROOT, 'src/catalog/open.ts')).keys()]).toContain('node:sqlite');
});

test.each(['src/cli/main.ts', ...commands.map((name) => `commands/${name}`)])(
  '%s loads nothing heavy before it runs',
  (entry) => {
    const heavy = [...packages(join(ROOT, entry))].filter(([name]) => HEAVY.test(name));
    expect(heavy).toEqual([]);
  },
);
