import { access, constants } from 'node:fs/promises';
import { OperatorError } from '../service/errors.ts';
import { nativePlaces } from '../service/native-addon.ts';

const NAME = 'lfsazsync-helper';

/**
 * The native helper to start: the one asked for, else `LFSAZSYNC_HELPER`, else the one built in this package
 * (`native-helpers/build/`), else the one that a release carries (`dist-prebuilt/<arch>/`).
 */
export async function findHelper(asked?: string): Promise<string> {
  const named = asked ?? process.env['LFSAZSYNC_HELPER'];
  if (named !== undefined && named !== '') {
    if (await isExecutable(named)) return named;
    throw new OperatorError(`The native helper ${named} is not there or can't be executed.`, {
      code: 'HELPER_MISSING',
      hint: 'Correct the setting that names it (helper, or LFSAZSYNC_HELPER), or leave it out to use the one that comes along.',
    });
  }
  const places = nativePlaces(NAME);
  for (const place of places) if (await isExecutable(place)) return place;
  throw new OperatorError(`The native helper is missing: neither ${places.join(' nor ')} can be executed.`, {
    code: 'HELPER_MISSING',
    hint: 'Build it with `make -C native-helpers` in the package (it needs a C compiler), or name another one with LFSAZSYNC_HELPER.',
  });
}

async function isExecutable(file: string): Promise<boolean> {
  return await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
