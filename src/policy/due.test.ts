import { describe, expect, it } from 'vitest';
import { configSchema } from '../config/schema.ts';
import { toConfig } from '../config/types.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { outlookOf } from './due.ts';
import { loadPolicies, type Policy } from './policies.ts';

const NOW_S = 1_800_000_000;
const NOW = NOW_S * 1000 + 400;
const DAY = 86_400;

async function policy(name: string, tree: object = {}): Promise<Policy> {
  const { policies } = await loadPolicies(toConfig(configSchema.parse({ mount: '/mnt/lustre', ...tree })));
  return policies.get(name) as Policy;
}

const file = (fields: Partial<PolicySubject>): PolicySubject => ({
  type: 'file',
  size: 5,
  atime: 0,
  mtime: 0,
  hsm: 0,
  ...fields,
});

describe('when a file is due', () => {
  it('is now, or the second in which its age is reached', async () => {
    const archive = await policy('archive');
    expect(outlookOf(archive, file({ mtime: NOW_S - 1800 }), NOW).at).toBe(NOW_S);
    expect(outlookOf(archive, file({ mtime: NOW_S - 100 }), NOW).at).toBe(NOW_S + 1700);
    expect(outlookOf(archive, file({ mtime: NOW_S + 50 }), NOW).at).toBe(NOW_S + 1850);
  });

  it('counts the later of two times, and a second more where the age must be more', async () => {
    const release = await policy('release');
    const small = file({ atime: NOW_S - 10, mtime: NOW_S - 400 * DAY });
    expect(outlookOf(release, small, NOW).at).toBe(NOW_S - 10 + 365 * DAY + 1);
  });

  it('may come by another rule when a class depends on the age', async () => {
    const tree = {
      classes: { fresh: { definition: 'creation < 2d' } },
      policies: {
        archive: {
          rules: {
            young: { target_class: 'fresh', condition: 'last_mod > 30d' },
            default: { condition: 'last_mod > 1h' },
          },
        },
      },
    };
    const archive = await policy('archive', tree);
    const subject = file({ btime: NOW_S - DAY, mtime: NOW_S - DAY });
    const outlook = outlookOf(archive, subject, NOW);
    expect(outlook.verdict).toMatchObject({ rule: { name: 'young' }, due: false });
    expect(outlook.at).toBe(NOW_S + DAY);
  });

  it('is never, by waiting, where something else is in the way or not known', async () => {
    const tree = { policies: { archive: { ignore: 'owner == 7', rules: { a: { condition: 'last_mod < 1h' } } } } };
    const archive = await policy('archive', tree);
    expect(outlookOf(archive, file({ uid: 7, mtime: NOW_S }), NOW).at).toBeUndefined();
    expect(outlookOf(archive, file({ uid: 8, mtime: NOW_S - 7200 }), NOW).at).toBeUndefined();
    expect(outlookOf(archive, file({ mtime: NOW_S }), NOW)).toMatchObject({
      verdict: { reason: 'unknown' },
      at: undefined,
    });
  });
});
