import { classesOf, loadClasses, type PolicyClass } from '../classes/classes.ts';
import type { Config } from '../config/types.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { comparisonsOf, needsOf } from '../expression/walk.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import type { Log } from '../service/log.ts';
import type { FileView } from './file-view.ts';

const seconds = (nanoseconds: bigint): number => Number(nanoseconds / 1_000_000_000n);

/**
 * What decides on the access tier of a copy: the first class of the configuration that has one and that the file is in, as
 * the file is when its archive begins. A class of which that can't be told does not count.
 * @throws OperatorError for a user or group in a class that nobody knows
 */
export async function tierRules(
  config: Pick<Config, 'classes' | 'mount'>,
  files: LustreFiles,
  log: Log,
): Promise<(file: FileView) => Promise<string | undefined>> {
  // Only those with a tier, and what they are made of, are of interest: without any, nothing is looked up.
  if ([...config.classes.values()].every(({ accessTier }) => accessTier === undefined)) return async () => undefined;
  const classes = (await loadClasses(config)).filter(({ accessTier }) => accessTier !== undefined);
  const more = furtherNeeds(classes);
  return async (file) => {
    const subject = await subjectOf(file, files, more);
    const { sure, unsure } = classesOf(classes, subject, Date.now());
    if (unsure.length > 0)
      log.debug('class not known, its access tier does not count', {
        fid: file.fid,
        classes: unsure.map(({ name }) => name),
      });
    return sure[0]?.accessTier;
  };
}

interface FurtherNeeds {
  readonly xattrs: readonly string[];
  /** Time of creation or project: what a look at a file does not have. */
  readonly entry: boolean;
}

function furtherNeeds(classes: readonly PolicyClass[]): FurtherNeeds {
  const expressions = classes.map(({ expression }) => expression);
  const { xattrs, creation } = needsOf(...expressions);
  const project = expressions.some((expression) =>
    [...comparisonsOf(expression)].some((one) => one.kind === 'number' && one.field === 'project'),
  );
  return { xattrs, entry: creation || project };
}

async function subjectOf(file: FileView, files: LustreFiles, needs: FurtherNeeds): Promise<PolicySubject> {
  const { stat, hsm, paths, layout, fid } = file;
  const [entry] = needs.entry ? await files.entries([fid]) : [];
  const found =
    needs.xattrs.length > 0 ? await files.get({ fid }, { parts: ['xattrs'], xattrs: needs.xattrs }) : undefined;
  return {
    ...stat,
    atime: seconds(stat.atime),
    mtime: seconds(stat.mtime),
    ctime: seconds(stat.ctime),
    hsm: hsm.states,
    archive: hsm.archive,
    paths,
    osts: layout?.osts,
    pool: layout?.pool,
    ...(entry === undefined || entry instanceof Error ? {} : { btime: entry.btime, project: entry.project }),
    ...(found === undefined || found.errors.has('xattrs') ? {} : { xattrs: found.xattrs }),
  };
}
