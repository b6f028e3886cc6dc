import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Downloaded } from '../blob/download.ts';
import { MemoryAccount } from '../blob/memory-account.ts';
import type { CommitDecision, Uploaded } from '../blob/upload.ts';
import { BatchedPort } from './batched-port.ts';
import { TransferEngine } from './engine.ts';
import { toPlainError } from './plain-error.ts';
import type { FromThread, PlainDownload, PlainUpload, ThreadData, ToThread } from './protocol.ts';

/** The entry of a transfer thread: does what it is told with an engine of its own, asks back for decisions. */

interface Job {
  readonly stop: AbortController;
  /** Waits for the answer to the question that was asked last. */
  decided: PromiseWithResolvers<CommitDecision> | undefined;
  etag: PromiseWithResolvers<string | undefined> | undefined;
}

const { settings, thread, memory, place } = workerData as ThreadData;
const jobs = new Map<number, Job>();
// An engine that can't be opened ends the thread; what it was sent fails with it. Until here, messages wait.
const engine = await TransferEngine.open({
  settings,
  thread,
  memory: { account: new MemoryAccount(memory), place },
  onEndpoint: (archive, event) => port.send({ t: 'endpoint', archive, event }),
  onRetry: (archive, code, message, delay) => port.send({ t: 'retry', archive, code, message, delay }),
});
const port = new BatchedPort<FromThread, ToThread>(parentPort as MessagePort, (message) => void receive(message));

async function receive(message: ToThread): Promise<void> {
  switch (message.t) {
    case 'upload':
      return await carryOut(message.id, (job) => upload(message.id, message.job, job));
    case 'download':
      return await carryOut(message.id, async (job) => download(message.id, message.job, job));
    case 'commit': {
      const { decided } = jobs.get(message.id) ?? {};
      if (message.decision === undefined) decided?.reject(new Error('not decided'));
      else decided?.resolve(message.decision);
      return;
    }
    case 'etag': {
      const { etag } = jobs.get(message.id) ?? {};
      if (message.failed) etag?.reject(new Error('not decided'));
      else etag?.resolve(message.etag);
      return;
    }
    case 'abort':
      jobs.get(message.id)?.stop.abort(new Error('stopped'));
      return;
    case 'hold':
      engine.holdFor(message.milliseconds);
      return;
    case 'refresh':
      engine.refresh();
      return;
  }
}

async function carryOut(id: number, work: (job: Job) => Promise<Uploaded | Downloaded>): Promise<void> {
  const job: Job = { stop: new AbortController(), decided: undefined, etag: undefined };
  jobs.set(id, job);
  try {
    port.send({ t: 'done', id, result: await work(job) });
  } catch (error) {
    port.send({ t: 'failed', id, error: toPlainError(error) });
  } finally {
    jobs.delete(id);
  }
}

function upload(id: number, plain: PlainUpload, job: Job) {
  return engine.upload({
    ...plain,
    signal: job.stop.signal,
    onBytes: tell(id, plain.size),
    beforeCommit: (content) => {
      job.decided = Promise.withResolvers();
      port.send({ t: 'commit?', id, content });
      return job.decided.promise;
    },
  });
}

function download(id: number, { asks, ...plain }: PlainDownload, job: Job) {
  return engine.download({
    ...plain,
    signal: job.stop.signal,
    onBytes: tell(id, plain.length),
    ...(asks
      ? {
          onEtagChanged: () => {
            job.etag = Promise.withResolvers();
            port.send({ t: 'etag?', id });
            return job.etag.promise;
          },
        }
      : {}),
  });
}

/** Of a file that goes as a whole, the end says enough. */
function tell(id: number, size: bigint): (bytes: number) => void {
  return (bytes) => {
    if (BigInt(bytes) < size) port.send({ t: 'bytes', id, bytes });
  };
}
