import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configSchema } from '../../src/config/schema.ts';
import { toConfig } from '../../src/config/types.ts';
import { FIELD_NAMES } from '../../src/expression/fields.ts';
import { parseExpression } from '../../src/expression/parser.ts';
import { loadPolicies } from '../../src/policy/policies.ts';
import { projectRoot } from '../support/project.ts';

const text = readFileSync(join(projectRoot, 'docs/policies.md'), 'utf8');
const accounts = { user: async () => 1, group: async () => 1 };
const load = (tree: object) => loadPolicies(toConfig(configSchema.parse({ mount: '/mnt/lustre', ...tree })), accounts);
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, one) => (key === 'start' || key === 'end' ? undefined : one)));

describe('docs/policies.md', () => {
  const examples = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = '']) => yaml);

  it('has examples that are valid', async () => {
    expect(examples).toHaveLength(3);
    for (const yaml of examples) await expect(load(parse(yaml) as object)).resolves.toBeDefined();
  });

  it('tells the defaults as they are', async () => {
    const told = await load(parse(examples[0] ?? '') as object);
    const defaults = await load({});
    expect(plain([told.classes, [...told.policies]])).toEqual(plain([defaults.classes, [...defaults.policies]]));
  });

  it('has an example for every field, each of which can be read', () => {
    const rows = [...text.matchAll(/^\| (`[a-z_]+`(?:, `[a-z]+`)*|`xattr.NAME`) \| [^|]* \| `([^|]*)` \|$/gm)];
    const fields = rows.flatMap(([, names = '']) => [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
    expect(fields.toSorted()).toEqual([...FIELD_NAMES].toSorted());
    for (const [, , example = ''] of rows) parseExpression(example);
  });

  it('has conditions in its text that can be read', () => {
    const inline = [...text.matchAll(/`((?:tree|last_mod|archived) [^`]*)`/g)].map(([, condition = '']) => condition);
    const blocks = [...text.matchAll(/^```\n(type .*)\n```$/gm)].map(([, condition = '']) => condition);
    expect([inline.length >= 3, blocks.length]).toEqual([true, 1]);
    for (const condition of [...inline, ...blocks]) parseExpression(condition);
  });
});
