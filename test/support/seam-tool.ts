import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from './project.ts';
import { type RunOptions, run } from './run.ts';

const SOURCE = join(projectRoot, 'test/support/seam-tool.c');

let built: Promise<string> | undefined;

/** Compiles the tool once for each version of its source. */
async function build(): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const program = join(tmpdir(), `lfsazsync-seam-tool-${hash}`);
  if (existsSync(program)) return program;
  const fresh = `${program}.${process.pid}`;
  const { exitCode, stderr } = await run('cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', fresh, SOURCE, '-ldl']);
  if (exitCode !== 0) throw new Error(`cc ${SOURCE}: ${stderr}`);
  renameSync(fresh, program);
  return program;
}

export interface SeamResult {
  /** 0 or a negative errno. */
  readonly rc: number;
  readonly lines: readonly string[];
}

/** The compiled tool's path. */
export async function seamTool(): Promise<string> {
  built ??= build();
  return await built;
}

/** Makes one call that Node can't (see seam-tool.c). */
export async function seam(args: readonly (string | number)[], options: RunOptions = {}): Promise<SeamResult> {
  const { exitCode, stdout, stderr } = await run(await seamTool(), args.map(String), { timeout: 60_000, ...options });
  const lines = stdout.trimEnd().split('\n');
  const rc = /^rc=(-?\d+)$/.exec(lines.pop() ?? '')?.[1];
  if (exitCode !== 0 || rc === undefined) throw new Error(`seam-tool ${args.join(' ')}: ${stderr || stdout}`);
  return { rc: Number(rc), lines };
}
