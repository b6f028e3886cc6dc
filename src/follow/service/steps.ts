import type { ScanStep } from '../../scan/scan.ts';
import type { ReconcileStep } from '../reconcile/steps.ts';

/** The named steps of the follower besides those of the reconciler: between any two of them it may be killed. */
export const FOLLOW_STEPS = ['position.noted', 'records.applied', 'records.cleared', 'marks.refreshed'] as const;

export type FollowStep = (typeof FOLLOW_STEPS)[number];
export type AnyFollowStep = FollowStep | ReconcileStep | ScanStep;
