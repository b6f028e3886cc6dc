import { setTimeout as delay } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import type { StatusSnapshot } from '../src/status/types.ts';

const DASHBOARD_SECONDS = 2;
/** How the command ends, by the worst problem. */
const EXITS = { ok: 'ok', warning: 'partial', error: 'failed' } as const;

export default class Status extends BaseCommand {
  static override summary = 'Show the state of everything: services, lag, files, space, what needs attention';
  static override description =
    'On a terminal it is a dashboard, elsewhere (and with --plain) text. It works whether or not the services ' +
    'run, and reports those that do not. Ends with 0 if all is well, 3 if there are warnings, 1 if something is ' +
    'broken. docs/status.md describes what --json prints.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --plain --watch 5',
    '<%= config.bin %> <%= command.id %> --json',
  ];
  static override flags = {
    watch: Flags.integer({
      description:
        'repeat every so many seconds, until Ctrl-C; with --json, one line each time. The dashboard repeats anyway, every 2',
      helpValue: 'SECONDS',
      min: 1,
      max: 3600,
    }),
    timeout: Flags.integer({
      description: 'how long to wait for each part; then it is reported as missing',
      helpValue: 'SECONDS',
      default: 5,
      min: 1,
      max: 600,
    }),
    plain: Flags.boolean({ description: 'as text, even on a terminal' }),
    actions: Flags.integer({ description: 'list at most this many actions', default: 50, min: 0, max: 10_000 }),
  };

  async run(): Promise<StatusSnapshot | undefined> {
    const { flags } = await this.parse(Status);
    const [{ config }, { SnapshotGatherer }] = await Promise.all([
      this.readConfig({ config: flags.config }),
      import('../src/status/snapshot.ts'),
    ]);
    const gatherer = new SnapshotGatherer({
      config,
      version: this.config.version,
      actions: flags.actions,
      patience: flags.timeout * 1000,
    });
    if (process.stdout.isTTY && process.stdin.isTTY && !flags.plain && !this.jsonEnabled()) {
      const { showDashboard } = await import('../src/cli/dashboard-screen.ts');
      const interval = (flags.watch ?? DASHBOARD_SECONDS) * 1000;
      await showDashboard({ config, gather: () => gatherer.gather(), interval });
      return undefined;
    }
    const { renderSnapshot } = await import('../src/cli/status-text.ts');
    const show = async (): Promise<StatusSnapshot> => {
      const snapshot = await gatherer.gather();
      const repeated = flags.watch !== undefined;
      if (repeated && this.jsonEnabled()) process.stdout.write(`${JSON.stringify(snapshot)}\n`);
      const clear = repeated && process.stdout.isTTY ? '\u001b[H\u001b[2J' : '';
      this.log(`${clear}${renderSnapshot(snapshot)}`);
      return snapshot;
    };
    let snapshot = await show();
    while (flags.watch !== undefined) {
      await delay(flags.watch * 1000);
      if (process.stdout.destroyed) break;
      this.log('');
      snapshot = await show();
    }
    this.endWith(EXITS[snapshot.health.state]);
    return snapshot;
  }
}
