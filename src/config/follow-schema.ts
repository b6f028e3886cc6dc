import * as z from 'zod';
import { count, duration, percent } from './measures.ts';

const MDT_NAME = /^[^-\s=,]+-MDT[0-9a-f]{4}$/i;
const CHANGELOG_USER = /^cl[1-9]\d{0,8}(?:-[\w.-]{1,50})?$/;
const changelogUser = () =>
  z.string().regex(CHANGELOG_USER, "must be a changelog user as Lustre names it, such as 'cl1'");

/** One user for all MDTs, or `MDT=user` for each; the map of the file becomes such a list, so that the environment can say it, too. */
const changelogUsers = z
  .union(
    [
      z.string().transform((text, context): string | string[] => {
        if (!text.includes('=')) {
          if (CHANGELOG_USER.test(text)) return text;
          context.issues.push({ code: 'custom', message: 'x', input: text });
          return z.NEVER;
        }
        const pairs = text.split(',').map((pair) => pair.trim());
        if (pairs.every((pair) => isUserOfMdt(pair.split('=')))) return pairs;
        context.issues.push({ code: 'custom', message: 'x', input: text });
        return z.NEVER;
      }),
      z
        .record(z.string().regex(MDT_NAME), changelogUser())
        .transform((map) => Object.entries(map).map(([mdt, user]) => `${mdt}=${user}`)),
    ],
    { error: 'must be a changelog user such as cl1, or a map such as {lustre-MDT0000: cl1, lustre-MDT0001: cl2}' },
  )
  .optional();
const isUserOfMdt = ([mdt = '', user = '', ...more]: readonly string[]) =>
  more.length === 0 && MDT_NAME.test(mdt) && CHANGELOG_USER.test(user);

/** `follow`: the follower. */
export const followSchema = z
  .strictObject({
    changelog_user: changelogUsers.meta({
      description:
        'changelog user of each MDT, registered for lfsazsync alone: one for all (`cl1`), or a map from MDT to user',
    }),
    concurrency: count(1, 1024)
      .prefault(32)
      .meta({ description: 'files that are updated in the container at the same time' }),
    poll_interval: duration('50ms', '1m')
      .prefault('500ms')
      .meta({ description: 'how often the changelog is read; half as often while nothing comes' }),
    settle: duration('0s', '1d')
      .prefault('15s')
      .meta({ description: 'how long a directory’s times must be stable before its marker is updated' }),
    max_tries: count(1, 100)
      .prefault(10)
      .meta({ description: 'failures after which a file is left alone until `journal retry`' }),
    rename_mode: z.enum(['copy', 'restore']).prefault('copy').meta({
      description:
        'how the copy of a renamed file follows: copied by the storage service, or restored and archived again by the copytools',
    }),
    restores: count(1, 100_000)
      .prefault(100)
      .meta({ description: 'with `rename_mode: restore`: most files that are restored at the same time' }),
    drain_timeout: duration('0s', '1d').prefault('30s').meta({ description: 'how long a stop waits for running work' }),
  })
  .prefault({})
  .meta({ description: 'the follower: from the changelog to the container' });

/** `removal`: what becomes of the copies of removed files, whoever removes them. */
export const removalSchema = z
  .strictObject({
    grace: duration('0s', '3650d')
      .prefault('5m')
      .meta({ description: 'how long the blobs of a removed file, directory or symlink are kept' }),
    by: z.enum(['follow', 'policy']).prefault('follow').meta({
      description:
        'who removes the copies of removed files: the follower, or `policy-run`; the follower always removes markers',
    }),
    max_delete_share: percent().prefault('10%').meta({
      description:
        'removals stop when more than this share of everything in the container would go within `removal.window`; 100%: they never stop',
    }),
    max_delete_free: count(0, 1_000_000_000)
      .prefault(1000)
      .meta({ description: 'this many removals within `removal.window` are always allowed' }),
    window: duration('1m', '30d').prefault('1d').meta({ description: 'time span over which removals are counted' }),
  })
  .prefault({})
  .meta({ description: 'what becomes of the copies of removed files' });
