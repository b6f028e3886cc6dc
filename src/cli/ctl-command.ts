import { basename, dirname, resolve } from 'node:path';
import { Flags } from '@oclif/core';
import type { AskOptions, ControlTarget } from '../service/control/client.ts';
import { OperatorError } from '../service/errors.ts';
import { BaseCommand, type GlobalFlags } from './base-command.ts';

/** The flags of every `ctl` command, as `parse` gives them. */
interface ControlFlags extends GlobalFlags {
  readonly socket?: string | undefined;
}

const socketFlag = (service: string) => ({
  socket: Flags.string({
    description: `the ${service}'s control socket (default: that of the configured mount, in run_dir)`,
    helpValue: 'PATH',
    helpGroup: 'GLOBAL',
  }),
});

/** A service that can be asked, as operators know it. */
interface Asked {
  readonly service: string;
  /** How it is started, for the hint. */
  readonly start: string;
  /** The name of its socket in `run_dir`. */
  readonly socket: (mount: string) => Promise<string>;
}

/** What all commands are made of that ask a running service something. */
abstract class ControlCommand extends BaseCommand {
  /** oclif looks no further up for statics than to a class without any. */
  static override enableJsonFlag = true;
  protected abstract readonly asked: Asked;

  /** Which process is meant: the configuration is not even read when the socket is named. */
  protected async target(flags: ControlFlags): Promise<ControlTarget> {
    const { service, start, socket } = this.asked;
    if (flags.socket !== undefined) {
      const path = resolve(flags.socket);
      return { directory: dirname(path), name: basename(path), service, start };
    }
    const { config } = await this.readConfig({ config: flags.config }).catch((error: unknown) => {
      throw error instanceof OperatorError ? withSocketHint(error, service) : error;
    });
    return { directory: config.runDir, name: await socket(config.mount), service, start };
  }

  protected async ask<T>(
    target: ControlTarget,
    op: string,
    args: Readonly<Record<string, unknown>> = {},
    options: AskOptions = {},
  ): Promise<T> {
    const { askService } = await import('../service/control/client.ts');
    return (await askService(target, op, args, options)) as T;
  }
}

/** `copytool ctl …` */
export abstract class CopytoolControlCommand extends ControlCommand {
  static override baseFlags = { ...BaseCommand.baseFlags, ...socketFlag('copytool') };

  protected readonly asked: Asked = {
    service: 'copytool',
    start: 'lfsazsync copytool',
    socket: async (mount) => (await import('../copytool/socket.ts')).copytoolSocket(mount),
  };
}

/** `changelog-follow ctl …` */
export abstract class FollowControlCommand extends ControlCommand {
  static override baseFlags = { ...BaseCommand.baseFlags, ...socketFlag('follower') };

  protected readonly asked: Asked = {
    service: 'follower',
    start: 'lfsazsync changelog-follow',
    socket: async (mount) => (await import('../follow/service/socket.ts')).followSocket(mount),
  };
}

/** A configuration that is wrong is no reason not to reach a service that was started before. */
function withSocketHint({ message, code, exit, hint }: OperatorError, service: string): OperatorError {
  return new OperatorError(message, {
    code,
    exit,
    hint: `${hint ?? ''} A ${service} that runs nevertheless can be reached with --socket PATH.`.trimStart(),
  });
}
