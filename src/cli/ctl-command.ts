import { basename, dirname, resolve } from 'node:path';
import { Flags } from '@oclif/core';
import type { AskOptions, ControlTarget } from '../service/control/client.ts';
import { OperatorError } from '../service/errors.ts';
import { BaseCommand, type GlobalFlags } from './base-command.ts';

/** The flags of every `copytool ctl` command, as `parse` gives them. */
interface ControlFlags extends GlobalFlags {
  readonly socket?: string | undefined;
}

/** What all commands are made of that ask the running copytool something. */
export abstract class CopytoolControlCommand extends BaseCommand {
  static override baseFlags = {
    ...BaseCommand.baseFlags,
    socket: Flags.string({
      description: "the copytool's control socket (default: that of the configured mount, in run_dir)",
      helpValue: 'PATH',
      helpGroup: 'GLOBAL',
    }),
  };

  /** Which copytool is meant: the configuration is not even read when the socket is named. */
  protected async target(flags: ControlFlags): Promise<ControlTarget> {
    const service = { service: 'copytool', start: 'lfsazsync copytool' };
    if (flags.socket !== undefined) {
      const path = resolve(flags.socket);
      return { directory: dirname(path), name: basename(path), ...service };
    }
    const [{ config }, { copytoolSocket }] = await Promise.all([
      this.readConfig({ config: flags.config }).catch((error: unknown) => {
        throw error instanceof OperatorError ? withSocketHint(error) : error;
      }),
      import('../copytool/socket.ts'),
    ]);
    return { directory: config.runDir, name: copytoolSocket(config.mount), ...service };
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

/** A configuration that is wrong is no reason not to reach a copytool that was started before. */
function withSocketHint({ message, code, exit, hint }: OperatorError): OperatorError {
  return new OperatorError(message, {
    code,
    exit,
    hint: `${hint ?? ''} A copytool that runs nevertheless can be reached with --socket PATH.`.trimStart(),
  });
}
