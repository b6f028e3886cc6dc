import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CHECKS } from './doctor.ts';

test('docs/doctor.md names each check, and none that is not there', () => {
  const doc = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8');
  const [, table = ''] = /\| check \| [^|\n]+ \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(doc) ?? [];
  const named = table.split('\n').flatMap((line) => {
    const ids = [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, id]) => id as string);
    // `.loop` after `coordinator.control` is of the coordinator, too.
    return ids.map((id) => (id.startsWith('.') ? `${ids[0]?.split('.')[0]}${id}` : id));
  });
  expect(named.sort()).toEqual(CHECKS.map(({ id }) => id).sort());
});
