import type { Fid } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ErrnoError } from '../service/errors.ts';
import type { SecondLook } from './ask.ts';
import type { RequestFile, Verb } from './types.ts';
import { judge, type States, standing } from './verbs.ts';

/** The states of files by FID, in the same order; an ErrnoError for one that can't be looked at. */
export async function statesOf(
  files: Pick<LustreFiles, 'getMany'>,
  fids: readonly Fid[],
): Promise<(States | ErrnoError)[]> {
  const found = await files.getMany(
    fids.map((fid) => ({ fid })),
    { parts: ['hsm', 'action'] },
  );
  return found.map((one) => {
    if (one instanceof ErrnoError) return one;
    const { hsm, action, errors } = one;
    if (hsm !== undefined && action !== undefined) return { hsm, action };
    const errno = errors.get('hsm') ?? errors.get('action') ?? ERRNO.EIO;
    return new ErrnoError(errno, 'reading the HSM state');
  });
}

/** What a file's states say after a request with it was refused. @param archive the archive id that is asked for */
export function secondLookOf(
  verb: Verb,
  file: RequestFile,
  state: States | ErrnoError | undefined,
  archive: number | undefined,
): SecondLook {
  if (state instanceof ErrnoError) return state.errno === ERRNO.ENOENT ? { is: 'vanished' } : { is: 'eligible' };
  if (state === undefined) return { is: 'eligible' };
  if (standing(verb, state) === 'reached') return { is: 'done' };
  const judgement = judge(verb, { ...file, ...state }, archive);
  if (judgement.verdict === 'under_way') return { is: 'asked' };
  if (judgement.verdict === 'refused') return { is: 'refused', why: judgement.why };
  return { is: judgement.verdict === 'unneeded' ? 'done' : 'eligible' };
}
