import { describe, expect, it } from 'vitest';
import { run } from './run.ts';

const timeout = 20_000;

describe('run', () => {
  it('gives the bytes, the exit code and the end of standard error, without secrets', async () => {
    const result = await run('sh', ['-c', 'printf "\\377\\n"; echo "at sig=abc&x" >&2; exit 3'], { timeout });
    expect(result).toEqual({ code: 3, stdout: Buffer.from([0xff, 0x0a]), stderr: 'at sig=[redacted]&x\n' });
  });

  it('passes arguments as they are, in the C locale, and input as bytes', async () => {
    const odd = `a "b" $HOME \`id\` ; 'c'`;
    const { stdout } = await run('sh', ['-c', 'printf %s "$1:$LC_ALL:"; cat', 'sh', odd], {
      timeout,
      input: Buffer.from([0xfe]),
    });
    expect(stdout).toEqual(Buffer.concat([Buffer.from(`${odd}:C:`), Buffer.from([0xfe])]));
  });

  it('says that a program is missing', async () => {
    await expect(run('/nonexistent/lfs', [], { timeout })).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
  });

  it('ends a program that takes too long, writes too much or dies', async () => {
    await expect(run('sleep', ['60'], { timeout: 50 })).rejects.toMatchObject({
      code: 'PROGRAM_TIMEOUT',
      exit: 'tryAgain',
    });
    await expect(run('yes', [], { timeout, maxOutput: 1000 })).rejects.toMatchObject({ code: 'PROGRAM_DIED' });
    await expect(run('sh', ['-c', 'echo why >&2; kill -9 $$'], { timeout })).rejects.toThrow(/SIGKILL: why/);
  });

  it('throws the reason of an abort', async () => {
    const reason = new Error('stop it');
    const controller = new AbortController();
    const running = run('sleep', ['60'], { timeout, signal: controller.signal });
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    await expect(run('sleep', ['60'], { timeout, signal: controller.signal })).rejects.toBe(reason);
  });
});
