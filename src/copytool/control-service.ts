import { ControlServer } from '../service/control/server.ts';
import type { ServiceLog } from '../service/log.ts';
import { Rater } from '../service/rates.ts';
import type { CopytoolAgent } from './agent.ts';
import { controlHandlers } from './control.ts';
import { type FiguresSources, figuresOf, ratedValues } from './figures.ts';
import { Pauses } from './pauses.ts';
import type { LiveSettings } from './settings.ts';
import type { Traffic } from './traffic.ts';

const SAMPLE_MS = 1_000;

export interface ControlServiceOptions
  extends Pick<
    FiguresSources,
    'version' | 'mount' | 'fsname' | 'uuid' | 'helper' | 'archives' | 'endpoints' | 'stats'
  > {
  /** Where the control socket is made, and its name. */
  readonly runDir: string;
  readonly socket: string;
  readonly agent: CopytoolAgent;
  readonly traffic: Traffic;
  readonly settings: LiveSettings;
  readonly log: ServiceLog;
}

/**
 * Puts the settings in force, now and whenever they change, and lets operators look at and steer the copytool through
 * its control socket. Ended by the function that it gives.
 */
export async function openControl(options: ControlServiceOptions): Promise<() => Promise<void>> {
  const { agent, traffic, settings, stats, log } = options;
  settings.follow((config) => {
    log.setLevel(config.log.level);
    traffic.apply(config.copytool);
    agent.setConcurrency(config.copytool);
  });
  const pauses = new Pauses({
    log,
    apply: (paused, held) => {
      agent.setPaused(paused, held);
      for (const direction of ['archive', 'restore'] as const) traffic.hold(direction, held.has(direction));
    },
  });
  const rater = new Rater(() => ratedValues(stats));
  const sources: FiguresSources = { ...options, pauses, rater, tasks: () => agent.tasks() };
  const server = await ControlServer.open({
    directory: options.runDir,
    name: options.socket,
    version: options.version,
    handlers: controlHandlers({ figures: (named) => figuresOf(sources, named), settings, pauses }),
    log,
  });
  rater.sample(performance.now());
  const sampling = setInterval(() => rater.sample(performance.now()), SAMPLE_MS).unref();
  return async () => {
    clearInterval(sampling);
    await server.close();
  };
}
