import { BaseCommand } from '../src/cli/base-command.ts';

export default class Copytool extends BaseCommand {
  static override summary = 'Run the HSM agent: carry out what Lustre asks for';
  static override description =
    'Registers with Lustre for all configured archives and moves data between Lustre and the containers, until it ' +
    'is stopped. Runs in the foreground and logs JSON lines to standard error, or to the configured file. The ' +
    'first SIGTERM or SIGINT lets running actions finish, the second stops at once. Run one copytool per client.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --config /etc/lfsazsync/config.yaml',
  ];
  static override enableJsonFlag = false;

  async run(): Promise<void> {
    const { flags } = await this.parse(Copytool);
    const stop = this.shutdown;
    const loaded = await this.loadConfig(flags);
    const log = await this.openLog('copytool', loaded.config.log);
    try {
      const { runCopytool } = await import('../src/copytool/start.ts');
      const reload = () => this.readConfig(flags);
      await runCopytool({ loaded, reload, version: this.config.version, log, stop });
    } catch (error) {
      log.error('copytool failed', { err: error });
      throw error;
    } finally {
      log.close();
    }
  }
}
