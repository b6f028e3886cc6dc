import { expect, test } from 'vitest';
import { ProgressDisplay } from './progress-display.ts';

function screen(isTTY: boolean) {
  let written = '';
  let now = 0;
  const display = new ProgressDisplay({ isTTY, columns: 40, write: (text) => (written += text) }, () => now);
  return { display, pass: (ms: number) => (now += ms), written: () => written };
}

test('on a terminal, a line is redrawn in place, not at every event, and taken away', () => {
  const { display, pass, written } = screen(true);
  for (let event = 0; event < 100; event++) {
    pass(10);
    display.update(() => `${event}`);
  }
  display.line('a problem');
  display.clear();
  expect(written()).toBe('\r\u001b[K19\r\u001b[K39\r\u001b[K59\r\u001b[K79\r\u001b[K99\r\u001b[Ka problem\n');
});

test('elsewhere, a line a minute, without control characters', () => {
  const { display, pass, written } = screen(false);
  for (let second = 1; second <= 150; second++) {
    pass(1000);
    display.update(() => `${second} s`);
  }
  display.line('a problem');
  display.clear();
  expect(written()).toBe('60 s\n120 s\na problem\n');
});
