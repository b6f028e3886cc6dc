import { ControlServer } from '../../service/control/server.ts';
import { Rater } from '../../service/rates.ts';
import type { FollowFigures } from '../figures.ts';
import { controlHandlers } from './control.ts';
import type { Follower, Foundation } from './follower.ts';
import { ratedValues, snapshot } from './snapshot.ts';
import { followSocket } from './socket.ts';

const SAMPLE_MS = 1_000;

/** Lets operators look at and steer the follower through its control socket; one that only catches up has none. */
export async function openServiceControl(o: {
  base: Foundation;
  follower: () => Follower | undefined;
  state: () => FollowFigures['state'];
  leaseHeld: () => boolean;
  once: boolean;
}): Promise<{ figures: (follower: Follower) => Promise<FollowFigures>; close: () => Promise<void> }> {
  const { base } = o;
  const { config, version, log, settings, pauses, stats } = base;
  const rater = new Rater(() => ratedValues(stats));
  rater.sample(performance.now());
  const sampling = setInterval(() => rater.sample(performance.now()), SAMPLE_MS).unref();
  const figures = (follower: Follower) =>
    snapshot({ base, follower, state: o.state(), leaseHeld: o.leaseHeld(), rater });
  const server = o.once
    ? undefined
    : await ControlServer.open({
        ...{ directory: config.runDir, name: followSocket(config.mount), version, log },
        handlers: controlHandlers({ follower: o.follower, figures, settings, pauses }),
      });
  return {
    figures,
    close: async () => {
      clearInterval(sampling);
      await server?.close();
    },
  };
}
