import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../support/project.ts';

/** What a user's program is asked to do. */
export interface UserRequest {
  readonly do:
    | ('create' | 'save' | 'rewrite' | 'append' | 'patch' | 'truncate' | 'hold' | 'write held' | 'let go' | 'read')
    | ('rename' | 'link' | 'unlink' | 'rmdir' | 'rmtree' | 'mkdir' | 'symlink' | 'chmod' | 'chown' | 'utime');
  readonly path: Buffer;
  readonly to: Buffer;
  readonly bytes: Buffer;
  readonly numbers: readonly number[];
}

/** What became of a file's content: cut or written to. A write that was not done may be there or not. */
export type Effect =
  | { readonly ino: bigint; readonly size: number }
  | { readonly ino: bigint; readonly at: number; readonly bytes: Buffer; done: boolean };

export interface UserReply {
  readonly effects: readonly Effect[];
  /** What was read, of which file. */
  readonly data?: Buffer;
  readonly ino?: bigint;
  /** Of the error, such as ENOENT. */
  readonly code?: string;
  readonly message?: string;
}

/** A user: a process of its own, with a uid, a gid and a umask. */
export class User {
  readonly uid: number;
  readonly #child: ChildProcess;

  private constructor(uid: number, child: ChildProcess) {
    this.uid = uid;
    this.#child = child;
  }

  static async start(uid: number, umask: number): Promise<User> {
    const program = join(projectRoot, 'test/soak/user-process.ts');
    const child = fork(program, [String(uid), String(umask)], { serialization: 'advanced', execArgv: [] });
    await once(child, 'message');
    return new User(uid, child);
  }

  /** One thing at a time. */
  async do(request: UserRequest): Promise<UserReply> {
    const over = new AbortController();
    const { signal } = over;
    try {
      const reply = once(this.#child, 'message', { signal });
      const gone = once(this.#child, 'exit', { signal }).then(() => {
        throw new Error(`the process of user ${this.uid} has ended`);
      });
      gone.catch(() => undefined);
      this.#child.send(request);
      const [answer] = (await Promise.race([reply, gone])) as [UserReply];
      return answer;
    } finally {
      over.abort();
    }
  }

  stop(): void {
    this.#child.disconnect();
  }
}

/** What every file holds, by its inode number, as its users wrote it. */
export class Contents {
  readonly #byInode = new Map<bigint, Buffer>();
  readonly #unknown = new Set<bigint>();

  /** Undefined where nobody can say: a write failed half-way. */
  of(ino: bigint): Buffer | undefined {
    return this.#unknown.has(ino) ? undefined : this.#byInode.get(ino);
  }

  take({ effects }: UserReply): void {
    for (const effect of effects) this.#apply(effect);
  }

  #apply(effect: Effect): void {
    const { ino } = effect;
    if ('done' in effect && !effect.done) {
      this.#unknown.add(ino);
      return;
    }
    const before = this.#byInode.get(ino) ?? Buffer.alloc(0);
    const after = Buffer.alloc(
      'size' in effect ? effect.size : Math.max(before.length, effect.at + effect.bytes.length),
    );
    before.copy(after);
    if ('size' in effect && effect.size === 0) this.#unknown.delete(ino);
    if ('bytes' in effect) Buffer.from(effect.bytes).copy(after, effect.at);
    this.#byInode.set(ino, after);
  }

  /** Something went wrong half-way with what may be a file here. */
  async unknownAt(path: Buffer): Promise<void> {
    const stat = await lstat(path, { bigint: true }).catch(() => undefined);
    if (stat !== undefined) this.#unknown.add(stat.ino);
  }

  /** A file was copied by another program: the copy holds the same. */
  async copied(from: Buffer, to: Buffer): Promise<void> {
    const [source, target] = await Promise.all([from, to].map((path) => lstat(path, { bigint: true })));
    if (source === undefined || target === undefined || source.ino === target.ino) return;
    const content = this.#byInode.get(source.ino);
    if (content === undefined || this.#unknown.has(source.ino)) this.#unknown.add(target.ino);
    else this.#byInode.set(target.ino, content);
  }
}
