import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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

const PASS: StepHook = () => Promise.resolve();
const POLL_MS = 5;

/**
 * How tests hold an action at a step, from outside: where `directory` has a file named as the step, the action that
 * takes it renames it to `<step>.reached` and waits until the test has removed that. Without a directory, steps are
 * passed without a system call.
 */
export function stepHook(directory: string | undefined): StepHook {
  if (directory === undefined || directory === '') return PASS;
  return async (step) => {
    const reached = join(directory, `${step}.reached`);
    const held = await rename(join(directory, step), reached).then(
      () => true,
      () => false,
    );
    while (
      held &&
      (await access(reached).then(
        () => true,
        () => false,
      ))
    )
      await delay(POLL_MS);
  };
}
