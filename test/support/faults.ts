import { type Interference, startGateway } from './blob-gateway.ts';

export const FAULTS = ['refused', 'busy', 'throttled', 'answer lost', 'cut', 'truncated'] as const;
export type FaultKind = (typeof FAULTS)[number];

/** Faults between the machines and the endpoint, each so often and then no more. */
export class Faults {
  readonly #waiting: { what: FaultKind; at: string; left: number }[] = [];
  struck = 0;

  add({ what, at, times }: { what: FaultKind; at: string; times: number }): void {
    this.#waiting.push({ what, at, left: times });
  }

  clear(): void {
    this.#waiting.length = 0;
  }

  /** What is to be done to a request. */
  strike(operation: string): Interference | undefined {
    const fault = this.#waiting.find(({ at, left }) => left > 0 && (at === '' || at === operation));
    if (fault === undefined) return undefined;
    fault.left -= 1;
    this.struck += 1;
    return INTERFERENCE[fault.what];
  }
}

const INTERFERENCE: Readonly<Record<FaultKind, Interference>> = {
  refused: { answer: { status: 500, code: 'InternalError' } },
  busy: { answer: { status: 503, code: 'ServerBusy', headers: { 'retry-after': '1' } } },
  throttled: { answer: { status: 429, code: 'TooManyRequests', headers: { 'retry-after': '1' } } },
  'answer lost': 'lose-answer',
  cut: 'cut',
  truncated: { truncate: 100 },
};

/** A gateway to the endpoint of a connection string that makes these faults, and the string that leads through it. */
export async function faultyWay(
  connectionString: string,
  faults: Faults,
): Promise<{ connectionString: string; stop(): Promise<void> }> {
  const endpoint = /BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? '';
  const gateway = await startGateway(endpoint);
  gateway.interfere = ({ operation }) => {
    // Bodies are of no more use.
    gateway.requests.length = 0;
    return faults.strike(operation);
  };
  return { connectionString: connectionString.replace(endpoint, gateway.endpoint), stop: () => gateway.stop() };
}
