import { expect, it } from 'vitest';
import { closest } from './closest.ts';

it.each([
  ['concurency', 'concurrency'],
  ['haertbeat', 'heartbeat'],
  ['LOCATE_TIMEOUT', 'locate_timeout'],
  ['bacth', 'batch'],
])('%s most likely means %s', (word, meant) => {
  expect(closest(word, ['batch', 'concurrency', 'heartbeat', 'locate_timeout'])).toBe(meant);
});

it('guesses nothing where nothing is near', () => {
  expect(closest('colour', ['batch', 'heartbeat'])).toBeUndefined();
  expect(closest('x', [])).toBeUndefined();
});
