import * as z from 'zod';
import type { ControlHandler } from '../service/control/server.ts';
import { OperatorError } from '../service/errors.ts';
import type { CopytoolFigures } from './figures.ts';
import type { Pauses } from './pauses.ts';
import type { LiveSettings } from './settings.ts';
import { ACTION_KINDS, type ActionKind } from './stats.ts';

/** How many actions a status names when nothing else is asked for, and at most. */
const ACTIONS_NAMED = 50;
const MOST_NAMED = 10_000;

const statusArgs = z.object({ actions: z.number().int().min(0).max(MOST_NAMED).default(ACTIONS_NAMED) });
const setArgs = z.object({ setting: z.string().max(200), value: z.string().max(1000) });
const kinds = z.array(z.enum(ACTION_KINDS)).min(1).max(ACTION_KINDS.length);
const pauseArgs = z.object({ kinds, now: z.boolean().default(false) });
const resumeArgs = z.object({ kinds });

/** What is paused now: by kind, since when, and whether what had begun is held. */
export type PauseTable = Readonly<Partial<Record<ActionKind, { readonly since: string; readonly now: boolean }>>>;

export interface Controlled {
  readonly figures: (named: number) => CopytoolFigures;
  readonly settings: LiveSettings;
  readonly pauses: Pauses;
}

/** What can be asked of a running copytool over its control socket; docs/control.md is the contract. */
export function controlHandlers({ figures, settings, pauses }: Controlled): Record<string, ControlHandler> {
  return {
    status: (args) => figures(read(statusArgs, args).actions),
    set: (args) => {
      const { setting, value } = read(setArgs, args);
      return settings.set(setting, value);
    },
    reload: () => settings.reload(),
    pause: (args) => {
      const { kinds, now } = read(pauseArgs, args);
      pauses.pause(kinds, now);
      return { paused: pauseTable(pauses) };
    },
    resume: (args) => {
      pauses.resume(read(resumeArgs, args).kinds);
      return { paused: pauseTable(pauses) };
    },
  };
}

export function pauseTable(pauses: Pauses): PauseTable {
  return Object.fromEntries(
    [...pauses.all].map(([kind, { since, now }]) => [kind, { since: since.toISOString(), now }]),
  );
}

function read<T>(schema: z.ZodType<T>, args: unknown): T {
  const result = schema.safeParse(args);
  if (result.success) return result.data;
  const said = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new OperatorError(`the request can't be understood: ${said}`, {
    code: 'CONTROL_ARGUMENTS',
    exit: 'usage',
    hint: 'docs/control.md describes the requests.',
  });
}
