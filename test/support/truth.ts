import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, readFile, rename, rm, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Sandbox } from './sandbox.ts';

/** What tells one content from another in a record that keeps them all. */
export function digest(bytes: Uint8Array): string {
  return `${createHash('sha256').update(bytes).digest('hex')}/${bytes.length}`;
}

/** One write call each: what lies between two of them is a state that the file really had. */
const CHUNK = 64 * 1024;

/** What is known of one file, whatever its name is now. */
export class KnownFile {
  /** As `lfs path2fid` said it, without brackets. */
  readonly fid: string;
  /** Of every content that it ever had, in full. */
  readonly versions = new Set<string>();
  /** Every path that it ever had, relative to the mount's root. */
  readonly everPaths = new Set<string>();
  /** Where it is now; several are links; none: it was removed. */
  readonly paths = new Set<string>();
  content: Buffer = Buffer.alloc(0);
  /** Counts changes: who reads beside them knows that the content of that time may be another. */
  changes = 0;

  constructor(fid: string) {
    this.fid = fid;
    this.is(Buffer.alloc(0));
  }

  is(content: Buffer): void {
    this.content = content;
    this.versions.add(digest(content));
    this.changes += 1;
  }
}

/**
 * Users' work on the files of a sandbox, and the record of it: which contents and names each file has ever had. The
 * comparison of file system and container is made against this, not against what the product says.
 */
export class Truth {
  readonly #sandbox: Sandbox;
  readonly #mount: string;
  readonly #byFid = new Map<string, KnownFile>();
  readonly #byPath = new Map<string, KnownFile>();

  /** @param mount the client that the users work on: one of the sandbox's */
  constructor(sandbox: Sandbox, mount = sandbox.mount) {
    this.#sandbox = sandbox;
    this.#mount = mount;
  }

  /** All that ever were, removed ones included. */
  get files(): ReadonlyMap<string, KnownFile> {
    return this.#byFid;
  }

  /** Those that have a name, by their paths relative to the mount's root. */
  get names(): ReadonlyMap<string, KnownFile> {
    return this.#byPath;
  }

  absolute(path: string): string {
    return join(this.#mount, path);
  }

  at(path: string): KnownFile {
    const file = this.#byPath.get(path);
    if (file === undefined) throw new Error(`no file is known at ${path}`);
    return file;
  }

  /** A new file. */
  async create(path: string, content: Buffer): Promise<KnownFile> {
    const absolute = this.absolute(path);
    await mkdir(dirname(absolute), { recursive: true });
    const handle = await open(absolute, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644);
    try {
      const file = new KnownFile(await this.#fidAt(absolute));
      this.#byFid.set(file.fid, file);
      this.#name(path, file);
      await write(handle, file, 0, content);
      return file;
    } finally {
      await handle.close();
    }
  }

  /** Writes at a position, beyond the end too. Rejects when the file can't be had at the moment; then nothing is changed. */
  async patch(path: string, position: number, bytes: Buffer): Promise<void> {
    const file = this.at(path);
    const handle = await open(this.absolute(path), 'r+');
    try {
      await write(handle, file, position, bytes);
    } finally {
      await handle.close();
    }
  }

  async truncate(path: string, size: number): Promise<void> {
    const file = this.at(path);
    const after = Buffer.alloc(size);
    file.content.copy(after);
    // Noted first: an archive that runs beside it may see the new size before this call has returned.
    file.versions.add(digest(after));
    await truncate(this.absolute(path), size);
    file.is(after);
  }

  /** The whole content anew, in place, as editors do that truncate first. */
  async rewrite(path: string, content: Buffer): Promise<void> {
    await this.truncate(path, 0);
    await this.patch(path, 0, content);
  }

  /** A rename, over another file too. */
  async rename(from: string, to: string): Promise<void> {
    const [file, victim] = [this.at(from), this.#byPath.get(to)];
    // Of two links of one file a rename does nothing.
    if (victim === file) return;
    await mkdir(dirname(this.absolute(to)), { recursive: true });
    file.everPaths.add(to);
    await rename(this.absolute(from), this.absolute(to));
    victim?.paths.delete(to);
    this.#byPath.delete(from);
    file.paths.delete(from);
    this.#name(to, file);
  }

  async link(from: string, to: string): Promise<void> {
    const file = this.at(from);
    await mkdir(dirname(this.absolute(to)), { recursive: true });
    file.everPaths.add(to);
    await link(this.absolute(from), this.absolute(to));
    this.#name(to, file);
  }

  async unlink(path: string): Promise<void> {
    const file = this.at(path);
    await rm(this.absolute(path));
    this.#byPath.delete(path);
    file.paths.delete(path);
  }

  /**
   * Reads a file as a user's program does. Rejects with the error that the program gets, or with WrongBytes when it
   * gets anything else than what was last written; not checked when the file was written to meanwhile.
   */
  async read(path: string): Promise<void> {
    const file = this.at(path);
    const { changes } = file;
    const found = await readFile(this.absolute(path));
    if (file.changes !== changes || this.#byPath.get(path) !== file) return;
    if (!found.equals(file.content)) throw new WrongBytes(path, file, found);
  }

  #name(path: string, file: KnownFile): void {
    this.#byPath.set(path, file);
    file.paths.add(path);
    file.everPaths.add(path);
  }

  async #fidAt(absolute: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.#sandbox.lfs(['path2fid', absolute]);
    const fid = /\[(0x[0-9a-f]+:0x[0-9a-f]+:0x[0-9a-f]+)\]/.exec(stdout)?.[1];
    if (exitCode !== 0 || fid === undefined) throw new Error(`lfs path2fid ${absolute}: ${stderr || stdout}`);
    return fid;
  }
}

/** A read gave bytes that are not the file's: I1 is broken. */
export class WrongBytes extends Error {
  constructor(path: string, file: KnownFile, found: Buffer) {
    const known = file.versions.has(digest(found)) ? 'an older version' : 'what it never held';
    super(
      `${path} (${file.fid}) reads ${known}: ${found.length} bytes ${JSON.stringify(found.toString('latin1', 0, 40))} ` +
        `in place of ${file.content.length} bytes ${JSON.stringify(file.content.toString('latin1', 0, 40))}`,
    );
    this.name = 'WrongBytes';
  }
}

async function write(handle: FileHandle, file: KnownFile, position: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; done += CHUNK) {
    const piece = bytes.subarray(done, done + CHUNK);
    const at = position + done;
    const after = Buffer.alloc(Math.max(file.content.length, at + piece.length));
    file.content.copy(after);
    piece.copy(after, at);
    file.versions.add(digest(after));
    const { bytesWritten } = await handle.write(piece, 0, piece.length, at);
    if (bytesWritten !== piece.length) throw new Error(`${bytesWritten} of ${piece.length} bytes written`);
    file.is(after);
  }
}
