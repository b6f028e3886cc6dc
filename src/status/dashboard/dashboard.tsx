import { Box, Text, useApp, useInput, useWindowSize } from 'ink';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { Fid } from '../../identity/fid.ts';
import type { StatusSnapshot } from '../types.ts';
import { type History, NO_HISTORY, withSnapshot } from './history.ts';
import type { Marks } from './marks.ts';
import { PANES, type PaneName, paneRows } from './panes.ts';
import { type Row, type Subject, textOf } from './rows.ts';
import type { Steering } from './steering.ts';

export interface DashboardProps {
  readonly gather: () => Promise<StatusSnapshot>;
  readonly steering: Steering;
  /** Milliseconds from the end of one look to the next. */
  readonly interval: number;
  readonly marks: Marks;
  /** NO_COLOR is set. */
  readonly plain: boolean;
}

/** Lines around a pane: two of the head, one of the tabs, one of the foot, and one that terminals keep for the cursor. */
const AROUND = 5;
const LEAST_WIDTH = 40;
const HELP = '1-5 tab panes · ↑↓ PgUp PgDn scroll · / filter · p pause · r resume · c cancel · t retry · q quit';
/** The same for 80 columns. */
const SHORT_HELP = '1-5 tab panes · ↑↓ scroll · / filter · p pause r resume c cancel t retry q quit';

/** A question that the next key answers: y does it. */
interface Question {
  readonly text: string;
  readonly work: () => Promise<string>;
}

/** The state of everything, redrawn as it changes. */
export function Dashboard({ gather, steering, interval, marks, plain }: DashboardProps): ReactNode {
  const { exit } = useApp();
  const { columns, rows: height } = useWindowSize();
  const { snapshot, history, trouble, refresh } = useSnapshots(gather, interval);
  const [pane, setPane] = useState<PaneName>('overview');
  const [top, setTop] = useState(0);
  const [chosen, setChosen] = useState(0);
  const [filter, setFilter] = useState('');
  const [typing, setTyping] = useState(false);
  const [question, setQuestion] = useState<Question>();
  const [message, setMessage] = useState('');

  const width = Math.max(LEAST_WIDTH, columns) - 1;
  const room = Math.max(1, height - AROUND);
  const all = snapshot === undefined ? [] : paneRows[pane]({ snapshot, history, width, marks });
  const rows = filtered(all, filter);
  const subjects = rows.flatMap(({ subject }, index) => (subject === undefined ? [] : [index]));
  const chosenRow = subjects[Math.min(chosen, subjects.length - 1)];
  const subject = chosenRow === undefined ? undefined : rows[chosenRow]?.subject;
  const first = Math.max(0, Math.min(top, rows.length - room));

  const show = (name: PaneName) => {
    setPane(name);
    setTop(0);
    setChosen(0);
    setFilter('');
  };
  const scroll = (lines: number) => setTop(Math.max(0, Math.min(first + lines, rows.length - room)));
  const move = (step: number) => {
    if (subjects.length === 0) return scroll(step);
    const next = Math.max(0, Math.min(Math.min(chosen, subjects.length - 1) + step, subjects.length - 1));
    setChosen(next);
    const line = subjects[next] ?? 0;
    // What lies above the first of a list is shown with it.
    if (next === 0 && step < 0) scroll(step);
    else if (line < first) setTop(line);
    else if (line >= first + room) setTop(line - room + 1);
    return undefined;
  };
  const carryOut = (work: () => Promise<string>) => {
    setMessage('…');
    work().then(
      (said) => {
        setMessage(said);
        refresh();
      },
      (error: Error) => setMessage(`not done: ${error.message}`),
    );
  };
  const ask = (text: string, work: () => Promise<string>) => setQuestion({ text, work });

  useInput((input, key) => {
    if (typing) {
      if (key.escape) setFilter('');
      if (key.escape || key.return) setTyping(false);
      else if (key.backspace || key.delete) setFilter((text) => [...text].slice(0, -1).join(''));
      else if (!key.ctrl && !key.meta && input >= ' ') setFilter((text) => text + input);
      setTop(0);
      setChosen(0);
      return;
    }
    setMessage('');
    if (question !== undefined) {
      setQuestion(undefined);
      if (input === 'y' || input === 'Y') carryOut(question.work);
      return;
    }
    const number = Number(input);
    if (key.escape && filter !== '') setFilter('');
    else if (input === 'q' || key.escape) exit();
    else if (PANES[number - 1] !== undefined) show(PANES[number - 1] ?? 'overview');
    else if (key.tab || key.rightArrow || key.leftArrow) {
      const step = key.leftArrow || key.shift ? PANES.length - 1 : 1;
      show(PANES[(PANES.indexOf(pane) + step) % PANES.length] ?? 'overview');
    } else if (key.upArrow || input === 'k') move(-1);
    else if (key.downArrow || input === 'j') move(1);
    else if (key.pageUp) scroll(-room);
    else if (key.pageDown || input === ' ') scroll(room);
    else if (key.home || input === 'g') scroll(-rows.length);
    else if (key.end || input === 'G') scroll(rows.length);
    else if (input === '/') setTyping(true);
    else if (input === 'p') ask('Pause archives, restores and removals?', steering.pause);
    else if (input === 'r') carryOut(steering.resume);
    else if (input === 'c' && subject?.kind === 'action')
      ask(`Cancel the action on ${subject.name}?`, () => steering.cancel(subject.fid as Fid));
    else if (input === 'c') setMessage('Choose an action in the pane of actions first (2, then ↑↓).');
    else if (input === 't') retry(subject);
  });

  const retry = (what: Subject | undefined) => {
    if (what?.kind === 'quarantined') carryOut(() => steering.retry(what.fid as Fid));
    else ask('Try everything again that is given up for now?', () => steering.retry());
  };

  const foot =
    question !== undefined ? `${question.text} (y, or any other key)` : typing ? `filter: ${filter}▏` : message;
  return (
    <Box flexDirection="column" width={width} height={height - 1}>
      <Head snapshot={snapshot} plain={plain} trouble={trouble} />
      <Tabs pane={pane} filter={filter} plain={plain} below={rows.length - first - room} above={first} />
      <Box flexDirection="column" height={room} overflow="hidden">
        {rows.slice(first, first + room).map((row, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines of a screen are known by their place
          <Line key={first + index} row={row} plain={plain} chosen={first + index === chosenRow} />
        ))}
      </Box>
      <Text wrap="truncate-end" dimColor={foot === ''} bold={foot !== ''}>
        {foot !== '' ? foot : width >= HELP.length ? HELP : SHORT_HELP}
      </Text>
    </Box>
  );
}

function Head({
  snapshot,
  plain,
  trouble,
}: {
  readonly snapshot: StatusSnapshot | undefined;
  readonly plain: boolean;
  readonly trouble: string;
}): ReactNode {
  if (snapshot === undefined) return <Text>{trouble === '' ? 'looking …' : trouble}</Text>;
  const { health, mount, fileSystem, host, time, services } = snapshot;
  const errors = health.problems.filter(({ severity }) => severity === 'error').length;
  const warnings = health.problems.length - errors;
  const word = { ok: 'HEALTHY', warning: 'NEEDS ATTENTION', error: 'IN TROUBLE' }[health.state];
  const colour = { ok: 'green', warning: 'yellow', error: 'red' }[health.state];
  const counts = health.state === 'ok' ? '' : ` ${counted(errors, 'error')}, ${counted(warnings, 'warning')}`;
  const which = fileSystem.available ? ` (${fileSystem.fsname})` : '';
  const running = Object.entries(services)
    .filter(([, { state }]) => state === 'running')
    .map(([name]) => name);
  return (
    <Box flexDirection="column">
      <Text wrap="truncate-end">
        <Text bold inverse {...(plain ? {} : { color: colour })}>{` ${word} `}</Text>
        <Text>{`${counts}  ${mount}${which} on ${host}`}</Text>
      </Text>
      <Text wrap="truncate-end" dimColor>
        {`${time.slice(11, 19)} UTC  running here: ${running.length === 0 ? 'nothing' : running.join(', ')}${trouble === '' ? '' : `  (${trouble})`}`}
      </Text>
    </Box>
  );
}

const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function Tabs({
  pane,
  filter,
  plain,
  above,
  below,
}: {
  readonly pane: PaneName;
  readonly filter: string;
  readonly plain: boolean;
  readonly above: number;
  readonly below: number;
}): ReactNode {
  const more = [above > 0 ? '↑' : ' ', below > 0 ? '↓' : ' '].join('');
  return (
    <Text wrap="truncate-end">
      {PANES.map((name, index) => (
        <Text
          key={name}
          bold={name === pane}
          inverse={name === pane}
          {...(plain || name !== pane ? {} : { color: 'cyan' })}
        >
          {` ${index + 1} ${name} `}
        </Text>
      ))}
      <Text>{`  ${more}${filter === '' ? '' : `  filter: ${filter}`}`}</Text>
    </Text>
  );
}

function Line({
  row,
  plain,
  chosen,
}: {
  readonly row: Row;
  readonly plain: boolean;
  readonly chosen: boolean;
}): ReactNode {
  const mark = row.subject === undefined ? '' : chosen ? '> ' : '  ';
  return (
    <Text wrap="truncate-end" inverse={chosen}>
      {mark === '' ? null : mark}
      {row.pieces.map(({ text, colour, bold }, index) => (
        <Text
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a line are known by their place
          key={index}
          bold={bold ?? false}
          {...(plain || colour === undefined ? {} : { color: colour })}
        >
          {text === '' && row.pieces.length === 1 ? ' ' : text}
        </Text>
      ))}
    </Text>
  );
}

/** Snapshots again and again, never two at a time. */
function useSnapshots(gather: DashboardProps['gather'], interval: number) {
  const [state, setState] = useState<{ snapshot: StatusSnapshot | undefined; history: History; trouble: string }>({
    ...{ snapshot: undefined, history: NO_HISTORY, trouble: '' },
  });
  const again = useRef<() => void>(() => {});
  useEffect(() => {
    let timer: NodeJS.Timeout | undefined;
    let left = false;
    let looking = false;
    const look = async () => {
      if (looking) return;
      looking = true;
      clearTimeout(timer);
      try {
        const snapshot = await gather();
        if (!left) setState(({ history }) => ({ snapshot, history: withSnapshot(history, snapshot), trouble: '' }));
      } catch (error) {
        if (!left) setState((before) => ({ ...before, trouble: (error as Error).message }));
      }
      looking = false;
      if (!left) timer = setTimeout(() => void look(), interval);
    };
    again.current = () => void look();
    void look();
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [gather, interval]);
  return { ...state, refresh: () => again.current() };
}

/** Of lists only what has the text in it, whatever its case. */
function filtered(rows: readonly Row[], filter: string): readonly Row[] {
  const wanted = filter.toLowerCase();
  return filter === '' ? rows : rows.filter((row) => row.listed !== true || textOf(row).toLowerCase().includes(wanted));
}
