import { wide, wideColumn } from './codes.ts';
import type { Database, Query, Row } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { CatalogEvent, Checkpoint, Failure, FailurePut, KnownBinding, Run, RunKind } from './types.ts';

/** Events kept; the oldest go. */
const MAX_EVENTS = 100_000;
/** Runs kept. */
const MAX_RUNS = 20_000;

/** The small books: bindings of imported files, failures, checkpoints of long jobs, runs, events, and single facts. */
export class Records {
  readonly #keys: FidKeys;
  readonly #database: Database;
  readonly #statements = new Map<string, Query>();

  constructor(database: Database, keys: FidKeys) {
    this.#database = database;
    this.#keys = keys;
  }

  putBinding(fid: number, { archive, name, bind, size }: KnownBinding): void {
    this.#sql('INSERT OR REPLACE INTO bindings (fid, archive, name, bind, size) VALUES (?, ?, ?, ?, ?)').run(
      fid,
      archive,
      name,
      bind,
      size,
    );
  }

  dropBinding(fid: number): void {
    this.#sql('DELETE FROM bindings WHERE fid = ?').run(fid);
  }

  binding(fid: number): KnownBinding | undefined {
    return this.#bindings('WHERE fid = ?', fid)[0];
  }

  bindingsAt(archive: number, name: string): KnownBinding[] {
    return this.#bindings('WHERE archive = ? AND name = ?', archive, name);
  }

  anyBinding(): boolean {
    return this.#sql('SELECT 1 FROM bindings LIMIT 1').get() !== undefined;
  }

  putFailure(fid: number, { kind, error, notBefore }: FailurePut, nowMs: number): void {
    this.#sql(
      `INSERT INTO failures (fid, kind, count, at_ms, not_before_ms, error) VALUES (?, ?, 1, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = count + 1, at_ms = excluded.at_ms, not_before_ms = excluded.not_before_ms, error = excluded.error`,
    ).run(fid, kind, nowMs, notBefore, error);
  }

  dropFailures(fid: number): void {
    this.#sql('DELETE FROM failures WHERE fid = ?').run(fid);
  }

  dropFailure(fid: number, kind: string): void {
    this.#sql('DELETE FROM failures WHERE fid = ? AND kind = ?').run(fid, kind);
  }

  failures(fid: number): Failure[] {
    return this.#failures('fid = ?', fid);
  }

  /** Of one kind, in the order of keys from after the given one. */
  failing(kind: string, after: number, limit: number): Failure[] {
    return this.#failures('kind = ? AND fid > ? ORDER BY fid LIMIT ?', kind, after, limit);
  }

  #failures(where: string, ...values: (number | string)[]): Failure[] {
    return this.#sql(`SELECT fid, kind, count, at_ms, not_before_ms, error FROM failures WHERE ${where}`)
      .all(...values)
      .map(([fid, kind, count, at, notBefore, error]) => ({
        fid: this.#keys.fid(fid as number),
        kind: kind as string,
        count: count as number,
        at: at as number,
        notBefore: notBefore as number,
        error: error as string,
      }));
  }

  putCheckpoint({ name, state }: Checkpoint, nowMs: number): void {
    this.#sql('INSERT OR REPLACE INTO checkpoints (name, at_ms, state) VALUES (?, ?, ?)').run(
      name,
      nowMs,
      JSON.stringify(state),
    );
  }

  dropCheckpoint(name: string): void {
    this.#sql('DELETE FROM checkpoints WHERE name = ?').run(name);
  }

  checkpoint(name: string): { readonly at: number; readonly state: unknown } | undefined {
    const row = this.#sql('SELECT at_ms, state FROM checkpoints WHERE name = ?').get(name);
    return row === undefined ? undefined : { at: row[0] as number, state: JSON.parse(row[1] as string) };
  }

  beginRun(kind: RunKind, name: string, detail: Readonly<Record<string, unknown>>, nowMs: number): number {
    const row = this.#sql('INSERT INTO runs (kind, name, started_ms, detail) VALUES (?, ?, ?, ?) RETURNING id').get(
      kind,
      name,
      nowMs,
      JSON.stringify(detail),
    );
    const id = (row as Row)[0] as number;
    this.#sql('DELETE FROM runs WHERE id <= ?').run(id - MAX_RUNS);
    return id;
  }

  endRun(id: number, outcome: string, detail: Readonly<Record<string, unknown>>, nowMs: number): void {
    this.#sql('UPDATE runs SET ended_ms = ?, outcome = ?, detail = ? WHERE id = ?').run(
      nowMs,
      outcome,
      JSON.stringify(detail),
      id,
    );
  }

  runs(kind: RunKind | undefined, limit: number): Run[] {
    return this.#sql(
      'SELECT id, kind, name, started_ms, ended_ms, outcome, detail FROM runs WHERE kind = ? OR ? IS NULL ORDER BY id DESC LIMIT ?',
    )
      .all(kind ?? null, kind ?? null, limit)
      .map(([id, of, name, started, ended, outcome, detail]) => ({
        id: id as number,
        kind: of as RunKind,
        name: name as string,
        started: started as number,
        ended: (ended ?? undefined) as number | undefined,
        outcome: (outcome ?? undefined) as string | undefined,
        detail: JSON.parse(detail as string) as Record<string, unknown>,
      }));
  }

  putEvent({ at, level, kind, message, run, fid }: CatalogEvent): void {
    const row = this.#sql(
      'INSERT INTO events (at_ms, level, kind, message, run, fid) VALUES (?, ?, ?, ?, ?, ?) RETURNING id',
    ).get(at, level, kind, message, run ?? null, fid === undefined ? null : this.#keys.store(fid));
    const id = (row as Row)[0] as number;
    if (id % 1000 === 0) this.#sql('DELETE FROM events WHERE id <= ?').run(id - MAX_EVENTS);
  }

  events(limit: number): CatalogEvent[] {
    return this.#sql('SELECT at_ms, level, kind, message, run, fid FROM events ORDER BY id DESC LIMIT ?')
      .all(limit)
      .map(([at, level, kind, message, run, fid]) => ({
        at: at as number,
        level: level as CatalogEvent['level'],
        kind: kind as string,
        message: message as string,
        ...(run === null ? {} : { run: run as number }),
        ...(fid === null ? {} : { fid: this.#keys.fid(fid as number) }),
      }));
  }

  fact(name: string): string | undefined {
    return this.#sql('SELECT value FROM meta WHERE name = ?').get(name)?.[0] as string | undefined;
  }

  putFact(name: string, value: string): void {
    this.#sql('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)').run(name, value);
  }

  dropFact(name: string): void {
    this.#sql('DELETE FROM meta WHERE name = ?').run(name);
  }

  #bindings(where: string, ...values: (number | string)[]): KnownBinding[] {
    return this.#sql(`SELECT fid, archive, name, bind, ${wideColumn('size')} FROM bindings ${where}`)
      .all(...values)
      .map(([fid, archive, name, bind, size]) => ({
        fid: this.#keys.fid(fid as number),
        archive: archive as number,
        name: name as string,
        bind: bind as string,
        size: wide(size),
      }));
  }

  #sql(text: string): Query {
    let query = this.#statements.get(text);
    if (query === undefined) {
      query = this.#database.prepare(text);
      this.#statements.set(text, query);
    }
    return query;
  }
}
