import type { Expression } from '../expression/ast.ts';
import { comparisonsOf } from '../expression/walk.ts';
import { OperatorError } from '../service/errors.ts';
import { run } from '../service/run.ts';

/** The id of a name; undefined: nobody has it. */
export interface Accounts {
  user(name: string): Promise<number | undefined>;
  group(name: string): Promise<number | undefined>;
}

/** How long a directory service may take, milliseconds. */
const TIMEOUT = 30_000;
const NOT_FOUND = 2;

/** The system's users and groups, whatever they come from (files, LDAP, …). */
const SYSTEM: Accounts = {
  user: (name) => lookUp('passwd', name),
  group: (name) => lookUp('group', name),
};

/** Both databases have the id as the third of their fields. */
async function lookUp(database: 'passwd' | 'group', name: string): Promise<number | undefined> {
  const { code, stdout, stderr } = await run('getent', [database, '--', name], { timeout: TIMEOUT });
  const id = stdout.toString('utf8').split(':')[2];
  if (code === 0 && id !== undefined && /^\d+$/.test(id)) return Number(id);
  if (code === NOT_FOUND) return undefined;
  throw new OperatorError(
    `'${name}' can't be looked up: getent ${database} ended with ${code}${stderr && `: ${stderr}`}`,
    {
      code: 'ACCOUNT_LOOKUP',
      exit: 'tryAgain',
      hint: 'Does `getent` work on this machine? Numbers may stand in conditions in place of names.',
    },
  );
}

/** The ids of all names of users and groups in these conditions. @throws OperatorError for one that nobody has */
export async function lookUpOwners(
  expressions: readonly Expression[],
  accounts: Accounts = SYSTEM,
): Promise<{ owners: Map<string, number>; groups: Map<string, number> }> {
  const owners = new Map<string, number>();
  const groups = new Map<string, number>();
  for (const comparison of expressions.flatMap((expression) => [...comparisonsOf(expression)])) {
    if (comparison.kind !== 'owner' || comparison.id !== undefined) continue;
    const { field, name } = comparison;
    const known = field === 'owner' ? owners : groups;
    if (known.has(name)) continue;
    const id = await (field === 'owner' ? accounts.user(name) : accounts.group(name));
    if (id === undefined) throw unknownAccount(field, name);
    known.set(name, id);
  }
  return { owners, groups };
}

function unknownAccount(field: 'owner' | 'group', name: string): OperatorError {
  const kind = field === 'owner' ? 'user' : 'group';
  return new OperatorError(`a condition names the ${kind} '${name}', whom this machine does not know`, {
    code: 'ACCOUNT_UNKNOWN',
    exit: 'usage',
    hint: `Is the name right? A number may stand in its place: ${field} == 1001.`,
  });
}
