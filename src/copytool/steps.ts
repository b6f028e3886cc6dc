/**
 * The named steps of an action, in their order. Between any two of them the process may be killed; what must hold then
 * is in docs/internals/archive-protocol.md. A step is named for what has just been done.
 */
export const STEPS = [
  'archive.taken',
  'archive.begun',
  'archive.named',
  'archive.uploaded',
  'archive.destination-read',
  'archive.verified',
  'archive.committed',
  'archive.confirmed',
  'archive.recorded',
  'archive.ended',
  'archive.looked-again',
  'restore.taken',
  'restore.begun',
  'restore.located',
  'restore.copied',
  'restore.verified',
  'restore.ended',
  'remove.taken',
  'remove.marked',
  'remove.unarchived',
  'remove.located',
  'remove.deleted',
  'remove.ended',
  'remove.settled',
  'remove.freed',
  // Of an action that an earlier process, or an earlier helper, has left behind.
  'adopt.read',
  'adopt.known',
  'adopt.taken',
] as const;

export type Step = (typeof STEPS)[number];

/** Called after each step of each action; the action goes on when the promise is fulfilled. */
export type StepHook = (step: Step) => Promise<void>;
