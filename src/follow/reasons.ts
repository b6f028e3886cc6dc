/** What is to be put right in the container for a FID: bits of a journal row. Whoever does it looks at everything anyway. */
export const REASON = {
  /** It is new to the container, or its names changed: its blob, marker or link markers are not where they belong. */
  NAMES: 0x01,
  /** A directory moved: everything below it did. */
  TREE: 0x02,
  /** Owner, group, mode or modification time changed, of something that has a blob. */
  ATTRIBUTES: 0x04,
  /** Its copy changed: archived anew, removed, lost, of another archive. */
  COPY: 0x08,
  /** Nobody knows its names just now, or it has none but lives: it must be looked at again. */
  LOOK: 0x10,
  /** Its blob or marker is in the way of another file's archive. */
  IN_THE_WAY: 0x20,
  /** Its archive ended with EAGAIN, and is to be asked for again when its name is free. */
  ARCHIVE_AGAIN: 0x40,
  /** The sweep found the container to be wrong. */
  SWEPT: 0x80,
} as const;

const WORDS: Readonly<Record<keyof typeof REASON, string>> = {
  NAMES: 'names',
  TREE: 'tree',
  ATTRIBUTES: 'attributes',
  COPY: 'copy',
  LOOK: 'look',
  IN_THE_WAY: 'in-the-way',
  ARCHIVE_AGAIN: 'archive-again',
  SWEPT: 'swept',
};

/** The reasons in words, for people and `--json`. */
export function reasonWords(reasons: number): string[] {
  return (Object.keys(REASON) as (keyof typeof REASON)[])
    .filter((reason) => (reasons & REASON[reason]) !== 0)
    .map((reason) => WORDS[reason]);
}
