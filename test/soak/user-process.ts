import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import type { Effect, UserReply, UserRequest } from './users.ts';

/*
 * A user's program: does what it is told with its own identity, one thing at a time, and tells what it has done to which
 * file's content, in the order in which it did so; what came before an error is done.
 */

let held: { fd: number; ino: bigint } | undefined;

type Work = (request: UserRequest, effect: (effect: Effect) => void) => void;

const inode = (fd: number) => fstatSync(fd, { bigint: true }).ino;

/** Opens a file, lets `work` have it, closes it whatever comes. */
function withFile(path: Buffer, flags: number, work: (fd: number, ino: bigint) => void): void {
  const fd = openSync(path, flags, 0o666);
  try {
    work(fd, inode(fd));
  } finally {
    closeSync(fd);
  }
}

function put(fd: number, ino: bigint, at: number, bytes: Buffer, effect: (effect: Effect) => void): void {
  const writing = { ino, at, bytes, done: false };
  effect(writing);
  writing.done = writeSync(fd, bytes, 0, bytes.length, at) === bytes.length;
}

/** Most names are in directories: they are made on the way. */
function ready(path: Buffer): Buffer {
  const slash = path.lastIndexOf('/');
  mkdirSync(path.subarray(0, slash), { recursive: true });
  return path;
}

const sizeOf = (fd: number) => fstatSync(fd).size;

const WORK: Readonly<Record<Exclude<UserRequest['do'], 'read'>, Work>> = {
  create: ({ path, bytes }, effect) =>
    withFile(ready(path), constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, (fd, ino) => {
      effect({ ino, size: 0 });
      put(fd, ino, 0, bytes, effect);
    }),
  // As editors save: the whole content under another name, then renamed over.
  save: ({ path, bytes }, effect) => {
    const fresh = Buffer.concat([path, Buffer.from('~')]);
    rmSync(fresh, { force: true });
    WORK.create({ do: 'create', path: fresh, to: fresh, bytes, numbers: [] }, effect);
    renameSync(fresh, path);
  },
  rewrite: ({ path, bytes }, effect) =>
    withFile(path, constants.O_WRONLY | constants.O_TRUNC, (fd, ino) => {
      effect({ ino, size: 0 });
      put(fd, ino, 0, bytes, effect);
    }),
  append: ({ path, bytes }, effect) =>
    withFile(path, constants.O_WRONLY, (fd, ino) => put(fd, ino, sizeOf(fd), bytes, effect)),
  patch: ({ path, bytes, numbers: [part = 0] }, effect) =>
    withFile(path, constants.O_WRONLY, (fd, ino) => put(fd, ino, part % (sizeOf(fd) + 1), bytes, effect)),
  truncate: ({ path, numbers: [part = 0] }, effect) => {
    const { size, ino } = lstatSync(path, { bigint: true });
    const fresh = part % (Number(size) + 1);
    truncateSync(path, fresh);
    effect({ ino, size: fresh });
  },
  hold: ({ path }) => {
    WORK['let go']({} as UserRequest, () => undefined);
    const fd = openSync(path, constants.O_RDWR);
    held = { fd, ino: inode(fd) };
  },
  'write held': ({ bytes, numbers: [part = 0] }, effect) => {
    if (held === undefined) return;
    const { fd, ino } = held;
    if (part % 5 > 0) return put(fd, ino, part % (sizeOf(fd) + 1), bytes, effect);
    ftruncateSync(fd, 0);
    effect({ ino, size: 0 });
  },
  'let go': () => {
    if (held !== undefined) closeSync(held.fd);
    held = undefined;
  },
  rename: ({ path, to }) => renameSync(path, ready(to)),
  link: ({ path, to }) => linkSync(path, ready(to)),
  unlink: ({ path }) => unlinkSync(path),
  rmdir: ({ path }) => rmdirSync(path),
  rmtree: ({ path }) => rmSync(path, { recursive: true }),
  mkdir: ({ path }) => mkdirSync(ready(path), 0o777),
  symlink: ({ path, to }) => symlinkSync(to, ready(path)),
  chmod: ({ path, numbers: [mode = 0] }) => chmodSync(path, mode),
  chown: ({ path, numbers: [uid = 0, gid = 0] }) => chownSync(path, uid, gid),
  utime: ({ path, numbers: [seconds = 0] }) => utimesSync(path, seconds, seconds),
};

function read(path: Buffer): { data: Buffer; ino: bigint } {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    return { data: readFileSync(fd), ino: inode(fd) };
  } finally {
    closeSync(fd);
  }
}

/** What comes from another process is bytes, but no Buffers. */
function withBuffers(request: UserRequest): UserRequest {
  const { path, to, bytes } = request;
  return { ...request, path: Buffer.from(path), to: Buffer.from(to), bytes: Buffer.from(bytes) };
}

const [uid = 0, umask = 0o022] = process.argv.slice(2).map(Number);
process.umask(umask);
if (uid !== 0) {
  process.setgroups?.([uid]);
  process.setgid?.(uid);
  process.setuid?.(uid);
}

process.on('message', (request: UserRequest) => {
  const effects: Effect[] = [];
  const reply = (rest: Omit<UserReply, 'effects'>) => process.send?.({ effects, ...rest });
  try {
    if (request.do === 'read') return reply(read(Buffer.from(request.path)));
    WORK[request.do](withBuffers(request), (effect) => effects.push(effect));
    reply({});
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    reply({ code: code ?? message, message });
  }
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
