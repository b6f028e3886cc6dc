/** Characters for graphs and bars: blocks where the terminal can show them, plain ones elsewhere. */
export interface Marks {
  /** From the lowest to the highest; the first is 'nothing'. */
  readonly levels: readonly string[];
  readonly full: string;
  readonly empty: string;
  readonly mark: string;
}

const BLOCKS: Marks = { levels: [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'], full: '█', empty: '░', mark: '│' };
const PLAIN: Marks = { levels: [' ', '.', ':', '-', '=', '+', '*', '#', '@'], full: '#', empty: '.', mark: '|' };

/** @param env whose locale tells what the terminal can show */
export function marksFor(env: Readonly<Record<string, string | undefined>>): Marks {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /utf-?8/i.test(locale) ? BLOCKS : PLAIN;
}

/** The latest values as one line of so many characters, scaled to the highest of them. */
export function sparkline(values: readonly number[], width: number, { levels }: Marks): string {
  const shown = values.slice(-width);
  const top = Math.max(...shown, 0);
  const steps = levels.length - 1;
  const line = shown.map(
    (value) => levels[value <= 0 || top === 0 ? 0 : Math.max(1, Math.round((value / top) * steps))],
  );
  return line.join('').padStart(width);
}

/** A bar of so many characters, filled so far in percent, with marks at some of them. */
export function bar(percent: number, width: number, at: readonly number[], { full, empty, mark }: Marks): string {
  const place = (share: number) => Math.min(width, Math.max(0, Math.round((share / 100) * width)));
  const cells = Array.from({ length: width }, (_, index) => (index < place(percent) ? full : empty));
  for (const share of at) cells[Math.min(width - 1, place(share))] = mark;
  return cells.join('');
}
