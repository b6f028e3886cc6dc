import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;

/**
 * How tests hold work at a named step, from outside: where `directory` has a file named as the step, whoever takes it
 * renames it to `<step>.reached` and waits until the test has removed that. Without a directory, steps are passed without
 * a system call.
 */
export function stepHook<Step extends string>(directory: string | undefined): (step: Step) => Promise<void> {
  if (directory === undefined || directory === '') return () => Promise.resolve();
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
