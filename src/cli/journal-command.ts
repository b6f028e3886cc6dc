import { Args, Flags } from '@oclif/core';
import type { Catalog } from '../catalog/catalog.ts';
import type { Fid } from '../identity/fid.ts';
import { OperatorError } from '../service/errors.ts';
import type { GlobalFlags } from './base-command.ts';
import { CatalogCommand } from './catalog-command.ts';

export const journalArgs = {
  file: Args.string({ description: 'FIDs, or paths below the mount; several may be given', ignoreStdin: true }),
};

export const quarantinedFlag = {
  quarantined: Flags.boolean({ description: 'everything that was given up for now, instead of naming files' }),
};

/** What the commands are made of that look at the catalog's journal, and change it. */
export abstract class JournalCommand extends CatalogCommand {
  /** Does it to what is named, or to the whole quarantine. @returns how many were in the journal */
  protected async change(
    argv: readonly unknown[],
    flags: GlobalFlags & { readonly quarantined?: boolean },
    work: (catalog: Catalog, fids: readonly Fid[]) => Promise<number>,
  ): Promise<{ named: number; found: number }> {
    const all = flags.quarantined === true;
    if (all === argv.length > 0) {
      throw new OperatorError(
        argv.length === 0 ? 'No files are named.' : 'Files are named, and --quarantined is given.',
        {
          code: 'USAGE',
          hint: 'Name FIDs or paths, or all that is given up for now with --quarantined.',
          exit: 'usage',
        },
      );
    }
    const [{ fidsNamed, quarantined }, { rawArguments }] = await Promise.all([
      import('../status/journal.ts'),
      import('../request/paths.ts'),
    ]);
    return await this.withCatalog(flags, { readOnly: false }, async (catalog, { mount }) => {
      if (!all) {
        const fids = [...new Set(await fidsNamed(catalog, mount, rawArguments(argv.map(String))))];
        return { named: fids.length, found: await work(catalog, fids) };
      }
      let named = 0;
      let found = 0;
      for await (const page of quarantined(catalog)) {
        named += page.length;
        found += await work(
          catalog,
          page.map(({ fid }) => fid),
        );
      }
      return { named, found };
    });
  }
}
