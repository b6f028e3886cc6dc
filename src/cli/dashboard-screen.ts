import { render } from 'ink';
import { createElement } from 'react';
import type { Config } from '../config/types.ts';
import { Dashboard } from '../status/dashboard/dashboard.tsx';
import { marksFor } from '../status/dashboard/marks.ts';
import { steeringOf } from '../status/dashboard/steering.ts';
import type { StatusSnapshot } from '../status/types.ts';

/** Shows the dashboard on a screen of its own until it is left; the terminal is then as it was before. */
export async function showDashboard(o: {
  readonly config: Config;
  readonly gather: () => Promise<StatusSnapshot>;
  /** Milliseconds. */
  readonly interval: number;
}): Promise<void> {
  const { NO_COLOR } = process.env;
  const dashboard = createElement(Dashboard, {
    gather: o.gather,
    steering: steeringOf(o.config),
    interval: o.interval,
    marks: marksFor(process.env),
    plain: NO_COLOR !== undefined && NO_COLOR !== '',
  });
  // Where a CI system's variables are set, Ink would not draw before its end.
  const { waitUntilExit } = render(dashboard, { alternateScreen: true, interactive: true, incrementalRendering: true });
  await waitUntilExit();
}
