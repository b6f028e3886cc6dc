import { setTimeout as delay } from 'node:timers/promises';
import type { Catalog } from '../../catalog/catalog.ts';
import type { KnownBlob } from '../../catalog/types.ts';
import { isBinding } from '../../identity/file-record.ts';
import { formatGeneration } from '../../identity/generation.ts';
import type { CopyVerdict, CopyVerifier } from '../../request/types.ts';
import { forEachBounded } from '../../service/bounded.ts';
import type { Chosen } from './judge.ts';

const AT_ONCE = 16;
/** The follower may just have moved the copy: it is looked for once more before it counts as missing. */
const AGAIN_MS = 1_000;

export interface VerificationOptions {
  readonly catalog: Pick<Catalog, 'known'>;
  readonly verifier: () => Promise<CopyVerifier>;
  /** A copy that was seen in the container so lately counts, milliseconds; 0: it is asked for in any case. */
  readonly within: number;
  readonly now: () => number;
  readonly onRequest: (chosen: Chosen) => void;
  readonly signal: AbortSignal;
}

/** Whether files' copies are in the container, before their data is let go of. */
export class Verification {
  readonly #options: VerificationOptions;

  constructor(options: VerificationOptions) {
    this.#options = options;
  }

  /** Rejects when the container can't be asked: nothing is released then. */
  async of(some: readonly Chosen[]): Promise<Map<Chosen, CopyVerdict>> {
    const verdicts = new Map<Chosen, CopyVerdict>();
    const asked = await this.#notSeenLately(some, verdicts);
    if (asked.length === 0) return verdicts;
    const verifier = await this.#options.verifier();
    const work = async (chosen: Chosen) => void verdicts.set(chosen, await this.#ask(verifier, chosen));
    await forEachBounded(asked, work, { concurrency: AT_ONCE, signal: this.#options.signal });
    return verdicts;
  }

  async #ask(verifier: CopyVerifier, chosen: Chosen): Promise<CopyVerdict> {
    const { onRequest, signal } = this.#options;
    const { file, archive } = chosen;
    const asked = { fid: file.fid, hsm: { states: file.fresh.entry.hsm, archive } };
    onRequest(chosen);
    const first = await verifier.verify(asked);
    if (first.ok || !first.searched) return first;
    await delay(AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    onRequest(chosen);
    return await verifier.verify(asked);
  }

  async #notSeenLately(some: readonly Chosen[], verdicts: Map<Chosen, CopyVerdict>): Promise<Chosen[]> {
    const { catalog, within, now } = this.#options;
    if (within === 0) return [...some];
    const known = await catalog.known(some.map(({ file }) => file.fid));
    const since = Math.floor((now() - within) / 1000);
    return some.filter((chosen) => {
      const blobs = known.get(chosen.file.fid)?.blobs ?? [];
      const seen = blobs.some((blob) => isItsCopy(blob, chosen) && (blob.verifiedAt ?? 0) >= since);
      if (seen) verdicts.set(chosen, { ok: true });
      return !seen;
    });
  }
}

/** Whether what a sweep saw is the very version that the file's record names. */
function isItsCopy(blob: KnownBlob, { file, archive }: Chosen): boolean {
  const { record } = file.fresh;
  if (record === undefined || isBinding(record) || blob.kind !== 'file' || blob.archive !== archive) return false;
  return blob.generation === formatGeneration(record.generation) && blob.size === record.size;
}
