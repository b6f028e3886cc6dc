import { expect } from 'vitest';
import { waitUntil } from '../support/wait.ts';
import type { Contract } from './fixture.ts';

export interface ChangelogRecord {
  readonly index: number;
  /** `CREAT`, `HSM`, … */
  readonly type: string;
  readonly flags: string;
  readonly target: string;
  readonly rest: string;
}

const RECORD = /^(\d+) \d\d([A-Z]+) +[\d:.]+ [\d.]+ (0x[0-9a-f]+) t=\[(0x[0-9a-f:x]+|0:0x0:0x0)\] ?([\s\S]*)$/;

/** Reads the text of `lfs changelog`; a name may hold line ends, so a record ends where the next one begins. */
export function parseRecords(text: string): ChangelogRecord[] {
  return text
    .split(/\n(?=\d+ \d\d[A-Z]+ +\d\d:\d\d:\d\d\.)/)
    .filter((part) => part !== '')
    .map((part) => {
      const match = RECORD.exec(part.replace(/\n$/, ''));
      if (match === null) throw new Error(`not a changelog record: ${JSON.stringify(part)}`);
      const [, index = '', type = '', flags = '', target = '', rest = ''] = match;
      return { index: Number(index), type, flags, target, rest };
    });
}

/**
 * A record in short, with names for FIDs: `RENME 0x1 t=victim p=dir new s=file sp=dir old`. The parent of a record
 * without a name is left out: it is not reliable (facts, README 21).
 */
export function brief(record: ChangelogRecord, names: ReadonlyMap<string, string>): string {
  const named = (fid: string): string => names.get(fid) ?? fid;
  const parent = / ?p=\[([^\]]+)\] ?([\s\S]*)$/.exec(` ${record.rest}`);
  const name = parent?.[2] ?? '';
  const xattr = / x=(\S+)/.exec(` ${record.rest}`)?.[1];
  const text = [record.type, record.flags, `t=${named(record.target)}`];
  if (xattr !== undefined) text.push(`x=${xattr}`);
  if (name !== '')
    text.push(
      `p=${named(parent?.[1] ?? '')}`,
      name.replace(/(sp?)=\[([^\]]+)\]/g, (_, key: string, fid: string) => `${key}=${named(fid)}`),
    );
  return text.join(' ');
}

/** Reads the changelog from where it is now. */
export class ChangelogReader {
  readonly #contract: Contract;
  #next: number;

  constructor(contract: Contract, next: number) {
    this.#contract = contract;
    this.#next = next;
  }

  static async open(contract: Contract): Promise<ChangelogReader> {
    const text = await contract.ok('changelog', contract.sandbox.mdt);
    return new ChangelogReader(contract, (parseRecords(text).at(-1)?.index ?? 0) + 1);
  }

  async read(): Promise<ChangelogRecord[]> {
    return parseRecords(await this.#contract.ok('changelog', this.#contract.sandbox.mdt, String(this.#next)));
  }

  /** Forgets what has come so far: the next check begins here. */
  async skip(): Promise<void> {
    this.#next = ((await this.read()).at(-1)?.index ?? this.#next - 1) + 1;
  }

  /**
   * Waits for exactly these records (in short form, see `brief`) about the files that `names` names, and moves behind
   * them. Closing is told to the server after `close` has returned, so the last record may be late.
   */
  async expect(names: ReadonlyMap<string, string>, expected: readonly string[]): Promise<void> {
    const isOurs = (record: ChangelogRecord): boolean => {
      const fids = [...record.rest.matchAll(/(?:s|sp|p)=\[([^\]]+)\]/g)].map((match) => match[1] ?? '');
      return [record.target, ...fids].some((fid) => names.has(fid));
    };
    let seen: string[] = [];
    const look = async (): Promise<boolean> => {
      const records = await this.read();
      seen = records.filter(isOurs).map((record) => brief(record, names));
      return seen.length >= expected.length;
    };
    await waitUntil('the changelog records are there', look, { timeout: 60_000 }).catch(() => undefined);
    // Once more, for a record that should not be there and comes later than those that should.
    await look();
    expect(seen).toEqual(expected);
    await this.skip();
  }
}
