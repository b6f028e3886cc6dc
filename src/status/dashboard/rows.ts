import stringWidth from 'string-width';

export type Colour = 'green' | 'yellow' | 'red' | 'cyan' | 'gray';

export interface Piece {
  readonly text: string;
  readonly colour?: Colour | undefined;
  readonly bold?: boolean;
}

/** What can be done with a row that is chosen. */
export type Subject =
  | { readonly kind: 'action'; readonly fid: string; readonly name: string }
  | { readonly kind: 'quarantined'; readonly fid: string; readonly name: string };

/** One line of a pane. Lines that are too long are cut by the screen. */
export interface Row {
  readonly pieces: readonly Piece[];
  readonly subject?: Subject;
  /** A line of a list, which the filter may hide. */
  readonly listed?: boolean;
}

export const row = (...pieces: (Piece | string)[]): Row => ({
  pieces: pieces.map((piece) => (typeof piece === 'string' ? { text: piece } : piece)),
});
export const heading = (text: string): Row => row({ text, bold: true, colour: 'cyan' });
export const blank: Row = row('');
export const dim = (text: string): Row => row({ text, colour: 'gray' });

export const textOf = ({ pieces }: Row): string => pieces.map(({ text }) => text).join('');

/**
 * A text as lines of at most so many places, those after the first indented; a word that is longer is left to the screen.
 * Places are a terminal's: a Chinese character takes two, a combining one none.
 */
export function wrapped(text: string, width: number, indent = '  '): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && stringWidth(line) + 1 + stringWidth(word) > width) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Cells in columns of a common width, each column two apart; the last one is as long as it is. */
export function columns(cells: readonly (readonly string[])[]): string[] {
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((line) => stringWidth(line[column] ?? ''))));
  return cells.map((line) =>
    line
      .map((cell, column) =>
        column === line.length - 1
          ? cell
          : `${cell}${' '.repeat(Math.max(0, (widths[column] ?? 0) - stringWidth(cell)))}`,
      )
      .join('  ')
      .trimEnd(),
  );
}

/** A table with a heading; each line a row of a list. */
export function table(
  head: readonly string[],
  lines: readonly (readonly string[])[],
  more: (index: number) => Partial<Row> & { readonly colour?: Colour | undefined } = () => ({}),
): Row[] {
  const [first = '', ...rest] = columns([head, ...lines]);
  // Lines that can be chosen have a mark before them.
  const indent = more(0).subject === undefined ? '' : '  ';
  return [
    row({ text: `${indent}${first}`, bold: true }),
    ...rest.map((text, index): Row => {
      const { colour, ...others } = more(index);
      return { pieces: [{ text, colour }], listed: true, ...others };
    }),
  ];
}
