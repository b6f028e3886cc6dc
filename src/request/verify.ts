import type { BlobStore } from '../blob/store.ts';
import { searchCopy } from '../copies/search-copy.ts';
import { ActionError } from '../copytool/action-error.ts';
import { viewFile } from '../copytool/file-view.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import type { CopyVerifier } from './types.ts';

export interface VerifierOptions {
  readonly files: LustreFiles;
  /** Our UUID of the file system; undefined when it has none. */
  readonly fsUuid: string | undefined;
  /** The container of an archive id, opened once; undefined when it is not configured. */
  readonly openArchive: (id: number) => Promise<BlobStore> | undefined;
}

/**
 * Verifies as a restore will: the same search, by the same rules, so that what is released can be brought back.
 * Trouble with the container itself (network, permission) is not a verdict: it rejects.
 * @throws OperatorError when the file system has no UUID: no blob can be told to be its copy then
 */
export function copyVerifier(options: VerifierOptions): CopyVerifier {
  const { files, fsUuid, openArchive } = options;
  if (fsUuid === undefined) {
    throw new OperatorError('The file system has no UUID of lfsazsync yet, so no copy can be recognised.', {
      code: 'NO_UUID',
      hint: 'Files that other tools archived can be released with --no-verify, at your own risk.',
    });
  }
  return {
    async verify(file) {
      const opened = openArchive(file.hsm.archive);
      if (opened === undefined) {
        return { ok: false, reason: `archive ${file.hsm.archive} is not in the configuration`, searched: false };
      }
      const store = await opened;
      try {
        const view = await viewFile(files, file.fid);
        const { copy, misses } = await searchCopy(view, { store, prefix: store.prefix }, fsUuid);
        if (copy !== undefined) return { ok: true };
        const looked = misses.map(({ name, found }) => `${JSON.stringify(name)}: ${found}`).join('; ');
        const nowhere = misses.length === 0;
        return { ok: false, reason: nowhere ? 'it has no name that can be looked for' : looked, searched: !nowhere };
      } catch (error) {
        if (error instanceof ErrnoError || error instanceof ActionError)
          return { ok: false, reason: error.message, searched: false };
        throw error;
      }
    },
  };
}
