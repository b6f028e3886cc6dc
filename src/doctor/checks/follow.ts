import { readControl } from '../../blob/control.ts';
import { missingTypes } from '../../follow/record-types.ts';
import { followedMdts, howToRegister } from '../../follow/service/mdts.ts';
import { ChangelogReader } from '../../lustre/changelog-reader.ts';
import type { DoctorContext } from '../context.ts';
import { type Check, type Finding, failed, ok, unknown, warning } from '../types.ts';

type Subject = Finding & { readonly subject?: string };

/** The changelog as a client sees it, and what the catalog knows of it. */
export const followChecks: readonly Check<DoctorContext>[] = [
  { id: 'identity.agree', needs: ['lustre.file-system', 'container.access'], run: identity },
  { id: 'catalog.readable', run: catalog },
  { id: 'changelog.user', needs: ['lustre.mdts'], run: configuredUser },
  { id: 'changelog.readable', needs: ['lustre.mdts'], run: readable },
  { id: 'changelog.types', needs: ['catalog.readable'], run: types },
];

/** File system, containers and catalog must be of one UUID, or have none yet. */
async function identity(context: DoctorContext, signal: AbortSignal): Promise<Finding> {
  const onRoot = await (await context.fileSystem()).readUuid();
  const others = new Map<string, string | undefined>();
  for (const id of context.config.archives.keys())
    others.set(`the container of archive ${id}`, (await readControl(await context.store(id), signal))?.fs);
  others.set('the catalog', await context.withCatalog((one) => one.fileSystem()).catch(() => undefined));
  const shown = [['the file system', onRoot] as const, ...others]
    .map(([what, uuid]) => `${what}: ${uuid ?? 'none yet'}`)
    .join('; ');
  const known = [...others.values()].filter((uuid) => uuid !== undefined);
  if (onRoot === undefined && known.length === 0) {
    return warning(
      'no UUID anywhere yet',
      'Run `lfsazsync setup`: it says that file system and container belong together.',
    );
  }
  return known.every((uuid) => uuid === onRoot)
    ? ok(shown)
    : failed(
        shown,
        'They don’t belong together: see that the right file system is mounted, and that archive and state_dir are its own. A new file system takes a container over with `lfsazsync setup --take-over`.',
      );
}

async function catalog(context: DoctorContext): Promise<Finding> {
  try {
    return await context.withCatalog(async (one) => {
      const scanned = await one.lastScan();
      return scanned === undefined
        ? warning(
            `${one.file} has seen no complete scan`,
            'Run `lfsazsync scan`, or start the follower: it scans first.',
          )
        : ok(`${one.file}, last complete scan ${new Date(scanned).toISOString()}`);
    });
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'CATALOG_MISSING') throw error;
    return warning('there is no catalog yet', 'Run `lfsazsync scan`, or start the follower: it scans first.');
  }
}

async function configuredUser(context: DoctorContext): Promise<readonly Subject[]> {
  const mdts = await context.mdts();
  if (context.config.follow.changelogUser === undefined) {
    const [first = 'FSNAME-MDT0000'] = mdts;
    return [
      failed(
        'no changelog user is configured: changes reach the container by scans and sweeps only',
        `${howToRegister(first)} Then set \`follow.changelog_user\`.`,
      ),
    ];
  }
  const followed = await followedMdts({ ...context.config, mdts: [...mdts] }, context.config.mount);
  return followed.map(({ mdt, user }) => ({ subject: mdt, ...ok(user) }));
}

/** Opens each changelog as the follower does, and closes it: nothing is cleared. */
async function readable(context: DoctorContext): Promise<readonly Subject[]> {
  const cursors = await context.withCatalog((one) => one.cursors()).catch(() => []);
  const { mount, liblustreapi, helper } = context.config;
  return await Promise.all(
    (await context.mdts()).map(async (mdt): Promise<Subject> => {
      const applied = cursors.find((cursor) => cursor.mdt === mdt)?.applied;
      const start = applied === undefined ? {} : { start: applied + 1 };
      try {
        const reader = await ChangelogReader.start({ mount, liblustreapi, helper, mdt, ...start });
        try {
          const last = await reader.lastIndex();
          const lag =
            applied === undefined ? 'never read by this catalog' : `${Math.max(0, last - applied)} records behind`;
          return { subject: mdt, ...ok(`last record ${last}, ${lag}`) };
        } finally {
          await reader.close();
        }
      } catch (error) {
        const { message, hint } = error as { message: string; hint?: string };
        return { subject: mdt, ...failed(message, hint ?? 'Is the MDT connected (lfs check mds), and is this root?') };
      }
    }),
  );
}

async function types(context: DoctorContext): Promise<readonly Subject[]> {
  const cursors = await context.withCatalog((one) => one.cursors()).catch(() => []);
  if (cursors.length === 0)
    return [
      unknown(
        'no record has been read yet',
        'Start the follower; after some thousand records it shows which types never come.',
      ),
    ];
  return cursors.map(({ mdt, types: counts }): Subject => {
    const missing = missingTypes(counts);
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    if (missing.length === 0) return { subject: mdt, ...ok(`${total} records read`) };
    const what = missing.map(({ type, missed }) => `${type} (${missed})`).join(', ');
    return {
      subject: mdt,
      ...warning(
        `never seen in ${total} records: ${what}`,
        `Unless nobody did such a thing, the mask leaves them out. On the MGS: lctl set_param -P mdd.${mdt}.changelog_mask=+${missing.map(({ type }) => type).join('+')}`,
      ),
    };
  });
}
