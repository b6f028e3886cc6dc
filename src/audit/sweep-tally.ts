import type { BlobKind } from '../identity/blob-identity.ts';
import type { FindingCode, SweepCounts } from './sweep-types.ts';

interface Sum {
  count: number;
  bytes: bigint;
}

/** Other file systems that are named. */
const MOST_OTHERS = 100;

/** Numbers and texts only, for a checkpoint. */
export interface TallyState {
  readonly numbers: Readonly<Record<string, number>>;
  readonly sums: Readonly<Record<string, readonly [count: number, bytes: string]>>;
  readonly others: Readonly<Record<string, number>>;
  readonly findings: Readonly<Partial<Record<FindingCode, number>>>;
}

type NumberName =
  | 'pages'
  | 'staged'
  | 'reserved'
  | 'bound'
  | 'checked'
  | 'journaled'
  | 'marked'
  | 'pending'
  | 'unnameable'
  | 'unplaced'
  | 'unconfigured';
type SumName = 'listed' | 'strangers' | 'othersTotal' | BlobKind;

/** Adds up what a sweep sees; what it has can be kept, and taken up again. */
export class SweepTally {
  readonly #numbers: Record<NumberName, number> = {
    ...{ pages: 0, staged: 0, reserved: 0, bound: 0, checked: 0, journaled: 0, marked: 0 },
    ...{ pending: 0, unnameable: 0, unplaced: 0, unconfigured: 0 },
  };
  readonly #sums: Record<SumName, Sum> = {
    ...{ listed: none(), strangers: none(), othersTotal: none() },
    ...{ file: none(), dir: none(), symlink: none(), link: none() },
  };
  readonly #others: Record<string, number> = {};
  readonly #findings: Partial<Record<FindingCode, number>> = {};

  constructor(state?: TallyState) {
    if (state === undefined) return;
    Object.assign(this.#numbers, state.numbers);
    for (const [name, [count, bytes]] of Object.entries(state.sums)) {
      this.#sums[name as SumName] = { count, bytes: BigInt(bytes) };
    }
    Object.assign(this.#others, state.others);
    Object.assign(this.#findings, state.findings);
  }

  count(name: NumberName, by = 1): void {
    this.#numbers[name] += by;
  }

  sum(name: SumName, bytes: bigint): void {
    const sum = this.#sums[name];
    sum.count += 1;
    sum.bytes += bytes;
  }

  other(uuid: string, bytes: bigint): void {
    this.sum('othersTotal', bytes);
    this.#addOther(uuid, 1);
  }

  #addOther(uuid: string, count: number): void {
    if (this.#others[uuid] === undefined && Object.keys(this.#others).length >= MOST_OTHERS) return;
    this.#others[uuid] = (this.#others[uuid] ?? 0) + count;
  }

  finding(code: FindingCode): void {
    this.#findings[code] = (this.#findings[code] ?? 0) + 1;
  }

  /** Adds what another one has counted. */
  add(other: SweepTally): void {
    for (const [name, count] of entriesOf(other.#numbers)) this.#numbers[name] += count;
    for (const [name, { count, bytes }] of entriesOf(other.#sums)) {
      this.#sums[name].count += count;
      this.#sums[name].bytes += bytes;
    }
    for (const [uuid, count] of Object.entries(other.#others)) this.#addOther(uuid, count);
    for (const [code, count] of entriesOf(other.#findings))
      this.#findings[code] = (this.#findings[code] ?? 0) + (count ?? 0);
  }

  counts(): SweepCounts {
    const { listed, strangers, othersTotal, file, dir, symlink, link } = this.#sums;
    return {
      ...this.#numbers,
      listed: { ...listed },
      strangers: { ...strangers },
      othersTotal: { ...othersTotal },
      own: { file: { ...file }, dir: { ...dir }, symlink: { ...symlink }, link: { ...link } },
      others: { ...this.#others },
      findings: { ...this.#findings },
    };
  }

  state(): TallyState {
    const sums = Object.entries(this.#sums).map(([name, { count, bytes }]) => [name, [count, String(bytes)] as const]);
    return {
      numbers: { ...this.#numbers },
      sums: Object.fromEntries(sums) as TallyState['sums'],
      others: { ...this.#others },
      findings: { ...this.#findings },
    };
  }
}

function none(): Sum {
  return { count: 0, bytes: 0n };
}

function entriesOf<K extends string, V>(record: Readonly<Partial<Record<K, V>>>): [K, V][] {
  return Object.entries(record) as [K, V][];
}
