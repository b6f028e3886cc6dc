import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { isCatalogError } from '../catalog/errors.ts';
import { openCatalog, setAsideCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import { OperatorError } from '../service/errors.ts';
import type { Finding, SetupContext, SetupStep } from './types.ts';

/** The state directory has a catalog, and it is this file system's; that of one that was taken over is set aside. */
export function catalogStep(context: SetupContext): SetupStep {
  return { look: async () => [await look(context)] };
}

async function look(context: SetupContext): Promise<Finding> {
  const { stateDir, identity, takeOver } = context;
  const file = catalogFile(stateDir);
  const finding = { step: 'catalog', subject: file };
  if (!existsSync(file)) return { ...finding, detail: 'begin it', apply: () => begin(context, file) };
  const owner = await ownerOf(file);
  if (owner === 'older')
    return {
      ...finding,
      detail: 'bring it to this version',
      apply: () => begin(context, file, 'brought to this version'),
    };
  if (owner === undefined)
    return { ...finding, detail: 'give it to it', apply: () => begin(context, file, 'given to it') };
  if (owner === identity.uuid) return { ...finding, detail: 'belongs to it' };
  if (owner !== takeOver) throw othersCatalog(file, owner);
  return {
    ...finding,
    detail: `set it aside: it is that of ${owner}`,
    apply: async () => {
      const aside = setAsideCatalog(file, `of-${owner}`);
      await begin(context, file);
      return `begun; the old one is ${aside}`;
    },
  };
}

/** Looks without changing anything: `older` when only a writer could open it. */
async function ownerOf(file: string): Promise<string | undefined> {
  try {
    const catalog = openCatalog({ file, readOnly: true });
    try {
      return await catalog.fileSystem();
    } finally {
      catalog.close();
    }
  } catch (error) {
    if (isCatalogError(error, 'CATALOG_OLDER')) return 'older';
    throw error;
  }
}

/** @param done what has been done then */
async function begin({ stateDir, identity }: SetupContext, file: string, done = 'begun'): Promise<string> {
  await mkdir(stateDir, { recursive: true, mode: 0o750 });
  const catalog = openCatalog({ file, create: true });
  try {
    await catalog.claim(identity.uuid as string);
    return done;
  } finally {
    catalog.close();
  }
}

function othersCatalog(file: string, owner: string): OperatorError {
  return new OperatorError(`The catalog ${file} is that of file system ${owner}.`, {
    code: 'CATALOG_OTHER_FILE_SYSTEM',
    hint: 'Give this file system a state directory of its own (`state_dir`), or move the catalog away if that one is gone.',
  });
}
