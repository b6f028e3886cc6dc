import type { ControlHandler } from '../../service/control/server.ts';
import { OperatorError } from '../../service/errors.ts';
import { releaseBrake } from '../brake.ts';
import type { FollowFigures } from '../figures.ts';
import type { Follower } from './follower.ts';
import type { Pauses } from './pauses.ts';
import type { FollowSettings } from './settings.ts';

export interface Controlled {
  /** Undefined while the catalog is being opened. */
  readonly follower: () => Follower | undefined;
  readonly figures: (follower: Follower) => Promise<FollowFigures>;
  readonly settings: FollowSettings;
  readonly pauses: Pauses;
}

export interface PauseState {
  readonly paused: { readonly since: string } | null;
}

export interface BrakeReleased {
  /** How many dead may be removed now. */
  readonly released: number;
}

/** What can be asked of a running follower over its control socket; docs/follower.md is the contract. */
export function controlHandlers({ follower, figures, settings, pauses }: Controlled): Record<string, ControlHandler> {
  const running = (): Follower => {
    const it = follower();
    if (it !== undefined) return it;
    throw new OperatorError('The follower is opening its catalog.', {
      code: 'FOLLOWER_STARTING',
      exit: 'tryAgain',
      hint: 'Ask again in a moment.',
    });
  };
  const state = (): PauseState => ({
    paused: pauses.since === undefined ? null : { since: pauses.since.toISOString() },
  });
  return {
    status: () => figures(running()),
    reload: () => settings.reload(),
    pause: () => {
      pauses.pause();
      return state();
    },
    resume: () => {
      pauses.resume();
      return state();
    },
    'release-brake': async (): Promise<BrakeReleased> => {
      const { catalog, brake, bells } = running();
      const released = await releaseBrake(catalog);
      await brake.look();
      bells.dead.ring();
      return { released };
    },
  };
}
