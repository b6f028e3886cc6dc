import type { Catalog } from '../../catalog/catalog.ts';
import type { CatalogBatch } from '../../catalog/types.ts';
import type { PolicyClass } from '../../classes/classes.ts';
import type { Config } from '../../config/types.ts';
import type { ReconcileContext } from '../../follow/reconcile/context.ts';
import type { FileSource } from '../../follow/refresh.ts';
import type { LustreFiles } from '../../lustre/attributes.ts';
import type { HsmRequest } from '../../lustre/lfs.ts';
import type { OstUsage } from '../../lustre/ost-usage.ts';
import type { CopyVerifier } from '../../request/types.ts';
import type { Log } from '../../service/log.ts';
import type { Policy } from '../policies.ts';
import type { Clock } from './clock.ts';
import type { RunStep } from './steps.ts';
import type { RunTarget } from './target.ts';
import type { RunProgress, TriggerReport } from './types.ts';

/** What runs work with; several policies may share it. */
export interface RunContext {
  /** The mount point, canonical. */
  readonly mount: string;
  readonly files: Pick<LustreFiles, 'getMany' | 'setHsm'>;
  readonly source: FileSource;
  readonly catalog: Catalog;
  readonly effects: Effects;
  readonly osts: () => Promise<readonly OstUsage[]>;
  /** Archive ids that are configured. */
  readonly served: ReadonlySet<number>;
  readonly verifier: () => Promise<CopyVerifier>;
  /** What the removal of dead files' copies works with. */
  readonly reaper: () => Promise<ReconcileContext>;
  readonly config: Pick<Config, 'request' | 'policyRun' | 'removal' | 'lfs' | 'copytool' | 'archives' | 'prices'> & {
    readonly follow: Pick<Config['follow'], 'settle'>;
  };
  readonly clock: Clock;
  readonly log: Log;
  /** Called after each step; it goes on when the promise is fulfilled. */
  readonly step: (step: RunStep) => Promise<void>;
}

/** All that a run changes. A dry run has those of `NO_EFFECTS`, behind the same choice. */
export interface Effects {
  readonly dry: boolean;
  /** Asks the coordinator. */
  readonly send: (request: HsmRequest) => Promise<void>;
  /** Writes into the catalog. */
  readonly note: (batch: CatalogBatch) => Promise<unknown>;
  /** @returns the run's number */
  readonly beginRun: (policy: string, detail: Readonly<Record<string, unknown>>) => Promise<number>;
  readonly endRun: (id: number, outcome: string, detail: Readonly<Record<string, unknown>>) => Promise<void>;
}

export const NO_EFFECTS: Effects = {
  dry: true,
  send: () => Promise.resolve(),
  note: () => Promise.resolve(),
  beginRun: () => Promise.resolve(0),
  endRun: () => Promise.resolve(),
};

export function effectsOn(catalog: Catalog, send: Effects['send']): Effects {
  return {
    dry: false,
    send,
    note: (batch) => catalog.apply(batch),
    beginRun: (policy, detail) => catalog.beginRun('policy', policy, detail),
    endRun: (id, outcome, detail) => catalog.endRun(id, outcome, detail),
  };
}

/** One run of one policy. */
export interface RunRequest {
  readonly policy: Policy;
  readonly trigger: TriggerReport;
  readonly target?: RunTarget | undefined;
  readonly ignoreConditions?: boolean | undefined;
  /** All that are configured: some decide on the access tier that an estimate counts with. */
  readonly classes?: readonly PolicyClass[] | undefined;
  /** Besides the policy's own. */
  readonly maxFiles?: number | undefined;
  readonly maxBytes?: number | undefined;
  readonly maxDuration?: number | undefined;
  /** Follow the requests to their end. */
  readonly wait?: boolean | undefined;
  readonly onProgress?: ((progress: () => RunProgress) => void) | undefined;
  /** Nothing more is chosen or asked for. */
  readonly signal: AbortSignal;
}
