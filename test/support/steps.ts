import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sandbox } from './sandbox.ts';
import { waitUntil } from './wait.ts';

/** Work (an action of the copytool, a scan, a run) that stands still after a step. */
export interface HeldStep {
  /** Waits until something has come to the step and stands there. */
  reached(): Promise<void>;
  /** Lets it go on. */
  release(): void;
}

/** Holds work of the product at named steps, so that tests can do at that very moment what users do. */
export class Steps {
  readonly #directory: string;

  constructor(sandbox: Sandbox) {
    this.#directory = join(sandbox.dir, 'steps');
    mkdirSync(this.#directory, { recursive: true });
  }

  /** What a process that is to be held must be started with. */
  get env(): NodeJS.ProcessEnv {
    return { LFSAZSYNC_TEST_STEPS: this.#directory };
  }

  /** The next one that has done `step` waits. */
  hold(step: string): HeldStep {
    const held = join(this.#directory, `${step}.reached`);
    writeFileSync(join(this.#directory, step), '');
    return {
      reached: async () => {
        await waitUntil(`something has done ${step}`, () => existsSync(held), { interval: 10 });
      },
      release: () => {
        rmSync(join(this.#directory, step), { force: true });
        rmSync(held, { force: true });
      },
    };
  }
}
