import { describe, expect, test } from 'vitest';
import { formatExpression } from '../expression/format.ts';
import { OperatorError } from '../service/errors.ts';
import { type Choice, conditionOf } from './condition.ts';

const CONFIG = { classes: new Map(), policies: new Map(), mount: '/lustre' } as unknown as Parameters<
  typeof conditionOf
>[1];
const said = async (choice: Choice) => formatExpression(await conditionOf(choice, CONFIG));

describe('flags are conditions', () => {
  test.each<[Choice, string]>([
    [{ size: ['+1G'] }, 'size > 1GiB'],
    [{ size: ['-1M', '+1K'] }, 'size < 1MiB and size > 1KiB'],
    [{ mtime: ['+30'] }, 'last_mod > 30d'],
    [{ atime: ['-2h'] }, 'last_access < 2h'],
    [{ ctime: ['1d'] }, 'last_change == 1d'],
    [{ type: ['f', 'l'], user: '0' }, '(type == file or type == symlink) and owner == 0'],
    [{ state: ['archived', '!released'] }, 'archived and hsm != released'],
    [{ ost: ['3', '7'], project: '12' }, 'project == 12 and (ost == 3 or ost == 7)'],
    [{ name: ['a*'], where: 'size > 0 or dirty' }, 'name == "a*" and (size > 0 or dirty)'],
  ])('%j', async (choice, expected) => {
    expect(await said(choice)).toBe(expected);
  });

  test('none: everything', async () => {
    expect(await conditionOf({}, CONFIG)).toMatchObject({ kind: 'constant', value: true });
  });
});

test.each<Choice>([
  { size: ['big'] },
  { mtime: ['yesterday'] },
  { type: ['x'] },
  { state: ['gone'] },
  { ost: ['first'] },
  { project: '-1' },
  { where: 'size >' },
  { class: ['nobody'] },
])('%j is refused as a mistake of usage', async (choice) => {
  const error = await conditionOf(choice, CONFIG).catch((one: unknown) => one);
  expect(error).toBeInstanceOf(OperatorError);
  expect(error).toMatchObject({ exit: 'usage' });
});
