import { ACTION_KINDS, type ActionKind } from '../../copytool/stats.ts';
import type { StatusSnapshot } from '../types.ts';

/** More than any terminal is wide. */
const MOST = 500;

/** What the graphs show: one value for each snapshot, the latest last. */
export interface History {
  readonly bytesPerSecond: Readonly<Record<ActionKind, readonly number[]>>;
  readonly filesPerSecond: Readonly<Record<ActionKind, readonly number[]>>;
  /** Records that are not taken in, of all MDTs. */
  readonly lag: readonly number[];
}

const NONE = { archive: [], restore: [], remove: [] } as const;
export const NO_HISTORY: History = { bytesPerSecond: NONE, filesPerSecond: NONE, lag: [] };

export function withSnapshot(history: History, { services: { copytool }, changelogs }: StatusSnapshot): History {
  const rates = copytool.state === 'running' ? copytool.figures.rates : undefined;
  const next = (part: 'bytesPerSecond' | 'filesPerSecond') =>
    Object.fromEntries(
      ACTION_KINDS.map((kind) => [kind, longer(history[part][kind], rates?.[part][kind]['10s'] ?? 0)]),
    ) as Record<ActionKind, readonly number[]>;
  const lag = changelogs.reduce((sum, one) => sum + (one.lag.available ? one.lag.records : 0), 0);
  return {
    bytesPerSecond: next('bytesPerSecond'),
    filesPerSecond: next('filesPerSecond'),
    lag: longer(history.lag, lag),
  };
}

const longer = (values: readonly number[], value: number): readonly number[] => [...values, value].slice(-MOST);
