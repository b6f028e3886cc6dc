import { open, readFile } from 'node:fs/promises';
import { CopytoolChannel, type HsmAction } from '../../../src/lustre/copytool-channel.ts';
import { ERRNO } from '../../../src/lustre/errno.ts';
import { fidPath } from '../../../src/lustre/file-system.ts';
import type { ErrnoError } from '../../../src/service/errors.ts';
import { helperPath } from '../../support/project.ts';
import { archiveId, type Sandbox } from '../../support/sandbox.ts';

/** What to do with an action: carry it out, end it with this errno, or leave it lying until it is cancelled. */
export type Conduct = 'work' | 'hold' | number;

/** A copytool that keeps the copies in memory, through the product's own channel. */
export class Mover {
  readonly taken: HsmAction[] = [];
  readonly copies = new Map<string, Buffer>();
  /** Ends that the coordinator refused. */
  readonly failures: Error[] = [];
  conduct: Conduct = 'work';
  readonly #channel: CopytoolChannel;
  readonly #mount: string;
  readonly #loop: Promise<void>;

  private constructor(channel: CopytoolChannel, mount: string) {
    this.#channel = channel;
    this.#mount = mount;
    this.#loop = this.#run();
  }

  static async start(sandbox: Sandbox): Promise<Mover> {
    const channel = await CopytoolChannel.open({
      mount: sandbox.mount,
      liblustreapi: sandbox.llapi,
      helper: helperPath,
      archives: [archiveId],
    });
    return new Mover(channel, sandbox.mount);
  }

  async stop(): Promise<void> {
    await this.#channel.close();
    await this.#loop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(): Promise<void> {
    for await (const action of this.#channel.actions) {
      if (action.action === 'CANCEL') {
        await this.#end(action, ERRNO.ECANCELED);
        continue;
      }
      this.taken.push(action);
      if (this.conduct === 'hold') await this.#channel.begin(action.cookie);
      else await this.#end(action, this.conduct === 'work' ? await this.#work(action) : this.conduct);
    }
  }

  async #work(action: HsmAction): Promise<number> {
    const { dfid } = await this.#channel.begin(action.cookie);
    if (action.action === 'REMOVE') {
      this.copies.delete(action.fid);
      return 0;
    }
    if (action.action === 'ARCHIVE') {
      this.copies.set(action.fid, await readFile(fidPath(this.#mount, dfid)));
      return 0;
    }
    const copy = this.copies.get(action.fid);
    if (copy === undefined) return ERRNO.ENOENT;
    const file = await open(fidPath(this.#mount, dfid), 'r+');
    await file.writeFile(copy);
    await file.close();
    return 0;
  }

  async #end(action: HsmAction, errval: number): Promise<void> {
    const length = BigInt(this.copies.get(action.fid)?.length ?? 0);
    await this.#channel.end(action.cookie, { offset: 0n, length, errval }).catch((error: ErrnoError) => {
      if (errval !== ERRNO.ECANCELED) this.failures.push(error); // the end of one that is cancelled may come late
    });
  }
}
