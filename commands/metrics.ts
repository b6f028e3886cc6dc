import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';

export default class Metrics extends BaseCommand {
  static override enableJsonFlag = false;
  static override summary = 'Write metrics for Prometheus';
  static override description =
    'To standard output, to a file for the node exporter’s textfile collector, or over HTTP on loopback. What can ' +
    'not be read is left out, and reported by lfsazsync_source_available and lfsazsync_service_up. ' +
    'docs/metrics.md lists all metrics.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --output /var/lib/node_exporter/lfsazsync.prom',
    '<%= config.bin %> <%= command.id %> --listen 127.0.0.1:9470',
  ];
  static override flags = {
    output: Flags.string({ description: 'write to this file, as a whole or not at all', helpValue: 'FILE' }),
    timeout: Flags.integer({
      description: 'how long to wait for each source; then its figures are left out',
      helpValue: 'SECONDS',
      default: 5,
      min: 1,
      max: 600,
    }),
    listen: Flags.string({
      description: 'serve /metrics there until stopped: a loopback address with a port, or unix:PATH',
      helpValue: 'ADDRESS',
      exclusive: ['output'],
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Metrics);
    const [{ config }, { SnapshotGatherer }, { metricsOf }, { exposition }] = await Promise.all([
      this.readConfig({ config: flags.config }),
      import('../src/status/snapshot.ts'),
      import('../src/metrics/snapshot.ts'),
      import('../src/metrics/exposition.ts'),
    ]);
    const gatherer = new SnapshotGatherer({
      config,
      version: this.config.version,
      actions: 0,
      patience: flags.timeout * 1000,
    });
    const make = async () => exposition(metricsOf(await gatherer.gather()));
    if (flags.listen !== undefined) {
      const { parseListenAddress, serveMetrics } = await import('../src/metrics/server.ts');
      const server = await serveMetrics(parseListenAddress(flags.listen), make);
      this.log(`serving /metrics at ${flags.listen}`);
      const { drain } = this.shutdown;
      await new Promise<void>((resolve) => drain.addEventListener('abort', () => resolve(), { once: true }));
      server.close();
      server.closeAllConnections();
    } else if (flags.output !== undefined) {
      const { replaceFile } = await import('../src/metrics/textfile.ts');
      await replaceFile(flags.output, await make());
    } else process.stdout.write(await make());
  }
}
