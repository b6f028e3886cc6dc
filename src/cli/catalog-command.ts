import type { Catalog } from '../catalog/catalog.ts';
import type { Config } from '../config/types.ts';
import { BaseCommand, type GlobalFlags } from './base-command.ts';

/** What the commands are made of that read or write the catalog and nothing else. */
export abstract class CatalogCommand extends BaseCommand {
  protected async withCatalog<T>(
    flags: GlobalFlags,
    options: { readOnly: boolean },
    work: (catalog: Catalog, config: Config) => Promise<T>,
  ): Promise<T> {
    const [{ config }, { openCatalog }, { catalogFile }] = await Promise.all([
      this.readConfig({ config: flags.config }),
      import('../catalog/open.ts'),
      import('../catalog/place.ts'),
    ]);
    const catalog = openCatalog({ file: catalogFile(config.stateDir), ...options });
    try {
      return await work(catalog, config);
    } finally {
      catalog.close();
    }
  }
}
