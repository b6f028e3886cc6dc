import { newSince } from '../since.ts';
import { Checksums } from './checksums.ts';
import { look, type VerifyContext, type VerifyOptions } from './context.ts';
import { Doubts } from './doubts.ts';
import { verifyEntries, verifyWalk } from './entries.ts';
import { Findings } from './findings.ts';
import { verifyBlobs } from './list.ts';
import { verifyStaleBlobs } from './stale-blobs.ts';
import { VerifyTally } from './tally.ts';
import type { VerifyFinding, VerifyPhase, VerifySummary } from './types.ts';

const CHECKPOINT = 'verify';

/**
 * Holds file system, catalog and container against each other, page by page, and tells every difference that is there when
 * it is looked at a second time, and after a while (`settle`) once more. What it sees of the container it notes in the catalog; anything else is only changed with
 * `repair`: the files are handed to the follower, or marked to be archived anew.
 */
export async function runVerify(
  options: VerifyOptions & { readonly onFinding: (finding: VerifyFinding) => void | Promise<void> },
): Promise<VerifySummary> {
  const { catalog, target } = options;
  const run = await catalog.beginRun('verify', `/${target.path.toString('utf8')}`, { repair: options.repair });
  try {
    const summary = await verify(options);
    const { bytes, read, ...counts } = summary;
    const detail = { ...counts, bytes: Number(bytes), read: { ...read, bytes: Number(read.bytes) } };
    await catalog.endRun(run, summary.outcome, detail);
    return summary;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await catalog.endRun(run, 'failed', { error: message }).catch(() => undefined);
    throw error;
  }
}

const PHASES: readonly (readonly [VerifyPhase, (context: VerifyContext) => Promise<void>])[] = [
  ['list', verifyBlobs],
  ['blobs', verifyStaleBlobs],
  ['entries', verifyEntries],
  ['walk', verifyWalk],
];

async function verify(options: Parameters<typeof runVerify>[0]): Promise<VerifySummary> {
  const { catalog, fs, repair, onFinding, onProgress, signal } = options;
  const started = Date.now();
  const clock = performance.now();
  const elapsed = () => performance.now() - clock;
  const tally = new VerifyTally();
  const since = await newSince(catalog);
  await catalog.apply({ checkpoints: [{ name: CHECKPOINT, state: { since } }] });
  let phase: VerifyPhase = 'list';
  const doubts: Doubts = new Doubts({
    ...{ tally, signal, settle: options.settle },
    findings: new Findings({ catalog, files: fs.files, tally, repair, onFinding }),
    look: async (fid) => (await look(context, [fid])).get(fid) ?? 'failed',
  });
  const context: VerifyContext = {
    ...options,
    tally,
    findings: doubts,
    checksums: options.checksum ? new Checksums(fs, signal) : undefined,
    since,
    tell: () => onProgress?.(() => ({ ...tally.counts(), phase, elapsed: elapsed() })),
  };
  for (const [name, work] of PHASES) {
    if (signal.aborted) break;
    phase = name;
    try {
      await work(context);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  await doubts.settle();
  return { ...tally.counts(), outcome: signal.aborted ? 'stopped' : 'complete', started, elapsed: elapsed() };
}
