import { ChangelogReader } from './changelog-reader.ts';
import type { ProbeOptions } from './mount-state.ts';

/** How far an MDT's changelog is ahead of whoever has read up to some index. */
export interface ChangelogLag {
  /** The index of its newest record, 0 if there is none. */
  readonly last: number;
  /** Milliseconds since 1970, by the MDT's clock, of the first record that was not read. */
  readonly oldestUnread?: number;
}

/**
 * Asks an MDT for its newest record and for the first one after `applied`. Nothing is cleared, and no changelog user is needed.
 * Rejects as `ChangelogReader.start` does, or when the MDT is silent.
 * @param applied the last index that was read; undefined: none
 */
export async function readChangelogLag(
  options: ProbeOptions & { readonly mdt: string; readonly applied: number | undefined },
): Promise<ChangelogLag> {
  const { mdt, mount, applied, patience, liblustreapi, helper } = options;
  const reader = await ChangelogReader.start({
    ...{ mdt, mount, liblustreapi, helper, startTimeout: patience, closeTimeout: 1 },
    ...(applied === undefined ? {} : { start: applied + 1 }),
  });
  const late = setTimeout(() => void reader.close(), patience);
  try {
    const last = await reader.lastIndex();
    if (last <= (applied ?? 0)) return { last };
    for await (const event of reader) {
      const [first] = event.kind === 'records' ? event.records : [];
      if (first !== undefined) return { last, oldestUnread: first.time };
      if (event.kind === 'end') break;
    }
    return { last };
  } finally {
    clearTimeout(late);
    void reader.close();
  }
}
