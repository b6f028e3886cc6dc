import { randomUUID } from 'node:crypto';

/**
 * One archived version of a file: `<seq>-<uuid>`. The sequence orders the versions of one file; the uuid is fresh for
 * every attempt and tells our own retries from another writer's.
 */
export interface Generation {
  readonly seq: number;
  readonly uuid: string;
}

const PATTERN = /^(\d{1,15})-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** The text form, as in `lfsazsync_gen` and `trusted.lfsazsync`. */
export function formatGeneration(generation: Generation): string {
  return `${generation.seq}-${generation.uuid}`;
}

/** Reads the text form; undefined when it is not one. */
export function parseGeneration(text: string): Generation | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  return { seq: Number(match[1]), uuid: match[2] as string };
}

/** A new generation above the file's own and that of the blob it will replace. */
export function nextGeneration(...previous: readonly (Generation | undefined)[]): Generation {
  const highest = Math.max(0, ...previous.map((generation) => generation?.seq ?? 0));
  return { seq: highest + 1, uuid: randomUUID() };
}
