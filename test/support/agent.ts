import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { HelperClient, type HelperEvent, type HelperReply } from './helper-client.ts';
import type { Sandbox } from './sandbox.ts';
import { archiveId } from './sandbox.ts';

/** An HSM action as the coordinator gave it to the agent. */
export interface Action {
  readonly action: 'ARCHIVE' | 'RESTORE' | 'REMOVE' | 'CANCEL';
  readonly fid: string;
  readonly dfid: string;
  readonly cookie: string;
  readonly archive: number;
  readonly flags: number;
  readonly data_b64?: string;
  readonly [field: string]: unknown;
}

export interface AgentOptions {
  readonly archives?: readonly number[];
  /** Which of the sandbox's clients (mounts) it runs on. */
  readonly client?: number;
  readonly lock?: string;
}

/** An HSM agent that tests lead step by step, through the helper's copytool mode. */
export class Agent {
  readonly helper: HelperClient;
  readonly #mount: string;

  constructor(helper: HelperClient, mount: string) {
    this.helper = helper;
    this.#mount = mount;
  }

  static spawn(sandbox: Sandbox, options: AgentOptions = {}): Agent {
    const mount = sandbox.mounts[options.client ?? 0] ?? sandbox.mount;
    const archives = options.archives ?? [archiveId];
    const helper = new HelperClient(
      'copytool',
      [
        ...['--mount', mount, '--liblustreapi', sandbox.llapi],
        ...archives.flatMap((id) => ['--archive', String(id)]),
        ...(options.lock === undefined ? [] : ['--lock', options.lock]),
      ],
      { ...process.env, ...sandbox.env },
    );
    return new Agent(helper, mount);
  }

  /** Starts one, registered when this returns. */
  static async start(sandbox: Sandbox, options: AgentOptions = {}): Promise<Agent> {
    const agent = Agent.spawn(sandbox, options);
    const hello = await agent.helper.hello();
    if (hello.t !== 'hello') throw new Error(`the helper does not start: ${JSON.stringify(hello)}`);
    await agent.helper.next('registered');
    return agent;
  }

  /** The next action of this kind, for this file when one is given. */
  async next(action: Action['action'], fid?: string): Promise<Action> {
    const isIt = (event: HelperEvent): boolean =>
      event['action'] === action && (fid === undefined || event['fid'] === fid);
    return (await this.helper.next('action', isIt)) as unknown as Action;
  }

  begin(action: Action, fields: object = {}): Promise<HelperReply> {
    return this.helper.ask('begin', { cookie: action.cookie, ...fields });
  }

  adopt(action: Action): Promise<HelperReply> {
    const { t: _, ...fields } = action;
    return this.helper.ask('adopt', fields);
  }

  progress(action: Action, offset: number, length: number): Promise<HelperReply> {
    return this.helper.ask('progress', { cookie: action.cookie, offset: String(offset), length: String(length) });
  }

  end(action: Action, fields: { errval?: number; retry?: boolean; length?: number } = {}): Promise<HelperReply> {
    const { errval = 0, retry = false, length = 0 } = fields;
    return this.helper.ask('end', { cookie: action.cookie, offset: '0', length: String(length), errval, retry });
  }

  /** Writes the data of a restore into its volatile file. */
  async write(dfid: string, data: Buffer | string): Promise<void> {
    const file = await open(join(this.#mount, '.lustre/fid', dfid), 'r+');
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Takes the next archive of a file and carries it out. */
  async archive(fid?: string): Promise<Action> {
    const action = await this.next('ARCHIVE', fid);
    expectOk(await this.begin(action), 'begin of an archive');
    expectOk(await this.end(action), 'end of an archive');
    return action;
  }

  /** Takes the next restore of a file and gives it this content. */
  async restore(data: Buffer | string, fid?: string): Promise<Action> {
    const action = await this.next('RESTORE', fid);
    const begun = await this.begin(action);
    expectOk(begun, 'begin of a restore');
    await this.write(String(begun['dfid']), data);
    expectOk(await this.end(action, { length: Buffer.byteLength(data) }), 'end of a restore');
    return action;
  }

  async remove(fid?: string): Promise<Action> {
    const action = await this.next('REMOVE', fid);
    expectOk(await this.begin(action), 'begin of a remove');
    expectOk(await this.end(action), 'end of a remove');
    return action;
  }

  stop(): Promise<number | null> {
    return this.helper.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function expectOk(reply: HelperReply, what: string): void {
  if (reply.rc !== 0) throw new Error(`${what}: ${JSON.stringify(reply)}`);
}
