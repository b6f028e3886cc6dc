import type { VerifyCode, VerifyCounts } from './types.ts';

/** Adds up what a verification sees. */
export class VerifyTally {
  blobs = 0;
  bytes = 0n;
  others = 0;
  entries = 0;
  walked = 0;
  repaired = 0;
  pending = 0;
  failed = 0;
  readonly read = { blobs: 0, files: 0, bytes: 0n, skipped: 0 };
  readonly findings: Partial<Record<VerifyCode, number>> = {};

  counts(): VerifyCounts {
    const { blobs, bytes, others, entries, walked, repaired, pending, failed, read, findings } = this;
    return {
      ...{ blobs, bytes, others, entries, walked, repaired, pending, failed },
      read: { ...read },
      findings: { ...findings },
    };
  }
}
