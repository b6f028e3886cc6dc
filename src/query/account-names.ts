import { run } from '../service/run.ts';

/** A directory service that does not answer is not waited for: numbers do as well. */
const TIMEOUT_MS = 10_000;
const AT_ONCE = 200;

/** Names of users or groups by their numbers, as far as the system knows them. */
export async function accountNames(database: 'passwd' | 'group', ids: readonly string[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const found = await run('getent', [database, '--', ...ids.slice(at, at + AT_ONCE)], { timeout: TIMEOUT_MS }).catch(
      () => undefined,
    );
    if (found === undefined) return names;
    for (const line of found.stdout.toString('utf8').split('\n')) {
      const [name, , id] = line.split(':');
      if (name !== undefined && id !== undefined) names.set(id, name);
    }
  }
  return names;
}
