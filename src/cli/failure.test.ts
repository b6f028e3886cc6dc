import { describe, expect, it } from 'vitest';
import { BugError, ErrnoError, OperatorError } from '../service/errors.ts';
import { SignalError } from '../service/shutdown.ts';
import { failureOf } from './failure.ts';

describe('failureOf', () => {
  it.each([
    [
      new OperatorError('no such container', { code: 'CONTAINER_MISSING', hint: 'Make it.', exit: 'notAuthorised' }),
      { code: 'CONTAINER_MISSING', message: 'no such container', hint: 'Make it.', exit: 7 },
    ],
    [new OperatorError('failed', { code: 'X' }), { code: 'X', message: 'failed', exit: 1 }],
    [new ErrnoError(7, 'lfs hsm_archive'), { code: 'E2BIG', message: 'lfs hsm_archive: errno 7', exit: 1 }],
    [new SignalError('SIGTERM'), { code: 'SIGTERM', message: 'stopped by SIGTERM', exit: 143 }],
    [
      Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', syscall: 'open' }),
      { code: 'EACCES', message: 'EACCES: permission denied', exit: 1 },
    ],
    [
      Object.assign(new Error('Missing 1 required arg\nSee more help with --help'), { oclif: { exit: 2 } }),
      { code: 'USAGE', message: 'Missing 1 required arg', hint: 'Add --help to see what the command takes.', exit: 2 },
    ],
  ])('describes %s', (error, failure) => {
    expect(failureOf(error)).toEqual(failure);
  });

  it('asks for a report of what was not expected', () => {
    expect(failureOf(new BugError('broken'))).toMatchObject({
      code: 'BUG',
      exit: 1,
      hint: expect.stringContaining('report'),
    });
    expect(failureOf(new TypeError('x is undefined'))).toMatchObject({
      code: 'UNEXPECTED',
      exit: 1,
      hint: expect.stringContaining('report'),
    });
    expect(failureOf('text')).toMatchObject({ message: 'text', exit: 1 });
  });

  it('lets nothing out but the four fields, and no secret in them', () => {
    const error = Object.assign(
      new OperatorError('GET https://a/c?sig=SECRET&se=1 failed', {
        code: 'X',
        hint: 'AccountKey=SECRET;',
        cause: 'SECRET',
      }),
      {
        request: { headers: { authorization: 'SECRET' } },
        parse: { input: { argv: ['SECRET'] } },
      },
    );
    const failure = failureOf(error);
    expect(Object.keys(failure).toSorted()).toEqual(['code', 'exit', 'hint', 'message']);
    expect(JSON.stringify(failure)).not.toContain('SECRET');
  });
});
