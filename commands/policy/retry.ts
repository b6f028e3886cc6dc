import { Args, Flags } from '@oclif/core';
import { CatalogCommand } from '../../src/cli/catalog-command.ts';
import type { Fid } from '../../src/identity/fid.ts';
import { OperatorError } from '../../src/service/errors.ts';

export default class PolicyRetry extends CatalogCommand {
  static override summary = 'Forget the failures of files, so that the policies take them up again';
  static override description = 'The next run asks for them again, if its rules still say so.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --all',
    '<%= config.bin %> <%= command.id %> 0x200000401:0x1f:0x0 /mnt/lustre/projects/results.h5',
  ];
  static override strict = false;
  static override args = {
    file: Args.string({ description: 'FIDs, or paths below the mount; several may be given', ignoreStdin: true }),
  };
  static override flags = {
    all: Flags.boolean({ description: 'everything that failed, instead of naming files' }),
  };

  async run(): Promise<{ named: number; found: number }> {
    const { argv, flags } = await this.parse(PolicyRetry);
    if (flags.all === argv.length > 0) {
      throw new OperatorError(argv.length === 0 ? 'No files are named.' : 'Files are named, and --all is given.', {
        code: 'USAGE',
        hint: 'Name FIDs or paths, or all that failed with --all.',
        exit: 'usage',
      });
    }
    const [{ failing }, { fidsNamed }, { failureKind }, { rawArguments }] = await Promise.all([
      import('../../src/status/policy-runs.ts'),
      import('../../src/status/journal.ts'),
      import('../../src/policy/run/backoff.ts'),
      import('../../src/request/paths.ts'),
    ]);
    const result = await this.withCatalog(flags, { readOnly: false }, async (catalog, { mount, policies }) => {
      const kinds = [...policies.keys()].map(failureKind);
      const forget = async (fids: readonly Fid[]) => {
        const known = await catalog.failures(fids);
        const over = [...known].flatMap(([fid, all]) =>
          all.filter(({ kind }) => kinds.includes(kind)).map(({ kind }) => ({ fid, kind })),
        );
        await catalog.apply({ failuresOver: over });
        return new Set(over.map(({ fid }) => fid)).size;
      };
      if (!flags.all) {
        const fids = [...new Set(await fidsNamed(catalog, mount, rawArguments(argv.map(String))))];
        return { named: fids.length, found: await forget(fids) };
      }
      const files = new Set<Fid>();
      for (const kind of kinds)
        for await (const page of failing(catalog, kind)) for (const { fid } of page) files.add(fid);
      return { named: files.size, found: await forget([...files]) };
    });
    const { named, found } = result;
    this.log(`${found} of ${named} will be taken up again${found < named ? ': the others have not failed' : ''}`);
    if (found < named) this.endWith('partial');
    return result;
  }
}
