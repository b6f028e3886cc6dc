import type { FailurePut } from '../../catalog/types.ts';
import type { Fid } from '../../identity/fid.ts';
import type { Why } from '../../request/types.ts';
import { failureKind, notBefore } from './backoff.ts';
import type { RunContext, RunRequest } from './context.ts';

/** What fails with files, of one policy: each time they are left alone for longer. */
export class FailureBook {
  readonly kind: string;
  readonly #context: Pick<RunContext, 'catalog' | 'clock' | 'log'>;
  readonly #policy: RunRequest['policy'];

  constructor(context: Pick<RunContext, 'catalog' | 'clock' | 'log'>, policy: RunRequest['policy']) {
    this.#context = context;
    this.#policy = policy;
    this.kind = failureKind(policy.name);
  }

  /** The entry for a file that failed now; the caller puts it into the catalog. */
  async entry(fid: Fid, why: Why): Promise<FailurePut> {
    const { catalog, clock, log } = this.#context;
    log.info('file failed', { policy: this.#policy.name, fid, code: why.code, reason: why.text });
    const earlier = (await catalog.failures([fid])).get(fid) ?? [];
    const count = earlier.find(({ kind }) => kind === this.kind)?.count ?? 0;
    const until = notBefore(this.#policy.backoff, count, clock.now());
    return { fid, kind: this.kind, error: `${why.code}: ${why.text}`, notBefore: until };
  }
}
