import { setTimeout as delay } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { renderStatus } from '../../../src/cli/copytool-status.ts';
import { CopytoolControlCommand } from '../../../src/cli/ctl-command.ts';
import type { CopytoolFigures } from '../../../src/copytool/figures.ts';

export default class CopytoolCtlStatus extends CopytoolControlCommand {
  static override summary = 'Show what the running copytool is doing';
  static override description =
    'Counters, rates, the queue, the settings that can be changed while it runs, and the oldest actions that have not ' +
    'ended. docs/control.md describes what --json prints.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --watch 2',
    '<%= config.bin %> <%= command.id %> --json --actions 1000',
  ];
  static override flags = {
    actions: Flags.integer({ description: 'list at most this many actions', default: 50, min: 0, max: 10_000 }),
    watch: Flags.integer({
      description: 'repeat every so many seconds, until Ctrl-C',
      helpValue: 'SECONDS',
      min: 1,
      max: 3600,
      exclusive: ['json'],
    }),
  };

  async run(): Promise<CopytoolFigures> {
    const { flags } = await this.parse(CopytoolCtlStatus);
    const target = await this.target(flags);
    const show = async (): Promise<CopytoolFigures> => {
      const figures = await this.ask<CopytoolFigures>(target, 'status', { actions: flags.actions });
      const clear = flags.watch !== undefined && process.stdout.isTTY ? '\u001b[H\u001b[2J' : '';
      this.log(`${clear}${renderStatus(figures)}`);
      return figures;
    };
    if (flags.watch === undefined) return await show();
    for (;;) {
      const figures = await show();
      this.log('');
      // Ctrl-C simply ends it.
      await delay(flags.watch * 1000);
      if (process.stdout.destroyed) return figures;
    }
  }
}
