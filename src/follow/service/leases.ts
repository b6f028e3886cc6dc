import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { requireControl } from '../../blob/control.ts';
import { ContainerLease, type LeaseLostError } from '../../blob/lease.ts';
import type { BlobStore } from '../../blob/store.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** The leases on the containers of all archives: all of them or none. */
export class Leases {
  readonly #leases: readonly ContainerLease[];
  /** Aborted when one of them is lost. */
  readonly lost: AbortSignal;

  private constructor(leases: readonly ContainerLease[]) {
    this.#leases = leases;
    this.lost = AbortSignal.any(leases.map((lease) => lease.lost));
  }

  /**
   * Takes them. Whoever calls this has the catalog's lock, so that an earlier follower of the same catalog is dead: its
   * leases, by the name that is kept in the state directory, are taken over at once.
   * With them, nobody can take the containers over; so whose they are is asked once more then.
   * @throws OperatorError FOLLOWER_RUNNING when somebody else has one of them, CONTAINER_TAKEN when one is another's by now
   */
  static async take(
    stores: Iterable<BlobStore>,
    o: { stateDir: string; fsUuid: string; log: Log; signal?: AbortSignal },
  ): Promise<Leases> {
    const holder = { host: hostname(), pid: process.pid, since: new Date().toISOString() };
    const id = leaseId(o.stateDir, o.log);
    const taken: ContainerLease[] = [];
    try {
      for (const store of distinct(stores)) {
        const onTrouble = (error: unknown) =>
          o.log.warn('lease could not be renewed, it is tried again', { err: error });
        taken.push(await ContainerLease.take(store, { holder, id, onTrouble, signal: o.signal }));
      }
      for (const store of distinct(stores)) await requireControl(store, o.fsUuid, o.signal);
      return new Leases(taken);
    } catch (error) {
      for (const lease of taken) await lease.release();
      throw error;
    }
  }

  /** Why it was lost; undefined while none is. */
  get loss(): LeaseLostError | undefined {
    return this.lost.aborted ? (this.lost.reason as LeaseLostError) : undefined;
  }

  async release(): Promise<void> {
    await Promise.all(this.#leases.map((lease) => lease.release()));
  }
}

export function leaseLost(cause: LeaseLostError): OperatorError {
  return new OperatorError(`This follower is not the only one any more: ${cause.message}`, {
    code: 'LEASE_LOST',
    exit: 'tryAgain',
    hint: 'Another follower has taken its place, or somebody broke the lease. If no other one runs, start it again.',
    cause,
  });
}

/** Archives may share a container and a prefix; then there is one lease. */
function distinct(stores: Iterable<BlobStore>): BlobStore[] {
  const places = new Map<string, BlobStore>();
  for (const store of stores) places.set(JSON.stringify([store.endpoint, store.container, store.prefix]), store);
  return [...places.values()];
}

/** The same for every follower of this catalog until the machine is started anew: a copy of the directory elsewhere has its own. */
function leaseId(stateDir: string, log: Log): string {
  const file = join(stateDir, 'changelog-follow.lease');
  const boot = read(BOOT_ID) ?? '';
  const [of, known] = (read(file) ?? '').trim().split(' ');
  if (boot !== '' && of === boot.trim() && known !== undefined) return known;
  const id = randomUUID();
  try {
    writeFileSync(file, `${boot.trim()} ${id}\n`, { mode: 0o600 });
  } catch (error) {
    log.warn('lease is not noted: after a crash, a start waits until it has run out', { err: error });
  }
  return id;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
