import { OperatorError } from '../service/errors.ts';
import { hasHierarchy, hierarchical } from './account-kind.ts';
import { isBlobError } from './errors.ts';
import { listFlat } from './list.ts';
import { reservedName } from './naming.ts';
import type { BlobStore } from './store.ts';

/** What the work ahead needs: restore only reads; archive, markers, moves and deletions write. */
export type Need = 'read' | 'write';

export interface ContainerCheck {
  /** Undefined when the endpoint does not say. */
  readonly hierarchicalNamespace: boolean | undefined;
  /** Undefined without a SAS, or when a stored access policy decides. */
  readonly sasExpires: Date | undefined;
}

interface Permission {
  /** As in `sp=` of a SAS. */
  readonly letter: string;
  readonly name: string;
  readonly without: string;
  /** A request that tells whether it is there, and changes nothing whatever the answer. */
  readonly probe: (store: BlobStore, signal: AbortSignal | undefined) => Promise<unknown>;
}

/** No blob has this ETag: a write under it is refused after it was authorised, and before anything is done. */
const NO_ETAG = '"0x0"';
const probeName = (store: BlobStore) => reservedName(store.prefix, 'probe');

const READ: Permission = {
  letter: 'r',
  name: 'read',
  without: 'nothing can be restored or checked',
  probe: (store, signal) => store.head(probeName(store), { signal }),
};
const WRITE: Permission = {
  letter: 'w',
  name: 'write',
  without: 'nothing can be archived',
  probe: (store, signal) =>
    store.put(probeName(store), Buffer.alloc(0), { condition: { ifMatch: NO_ETAG }, metadata: {}, signal }),
};
const DELETE: Permission = {
  letter: 'd',
  name: 'delete',
  without: 'copies of removed files can not be deleted',
  probe: (store, signal) => store.delete(probeName(store), { ifMatch: NO_ETAG, signal }),
};
const LIST: Permission = {
  letter: 'l',
  name: 'list',
  without: 'the container can not be imported, swept or verified',
  probe: (store, signal) =>
    listFlat(store, { startsWith: probeName(store), pageSize: 1, ...(signal === undefined ? {} : { signal }) }).next(),
};

const NEEDED: Readonly<Record<Need, readonly Permission[]>> = { read: [READ], write: [READ, WRITE, DELETE, LIST] };

/**
 * Checks, before any work starts, that the container is there, that the account is of a kind that we can work with, and
 * that the credential allows what is needed. Leaves nothing behind.
 * @throws OperatorError CONTAINER_MISSING, ACCOUNT_HIERARCHICAL, PERMISSION_MISSING; BlobError for anything else
 */
export async function checkContainer(
  store: BlobStore,
  options: { need: Need; signal?: AbortSignal },
): Promise<ContainerCheck> {
  const { need, signal } = options;
  const missing: Permission[] = [];
  for (const permission of NEEDED[need]) if (!(await allows(store, permission, signal))) missing.push(permission);
  if (missing.length > 0) throw permissionMissing(store, missing);

  const hierarchicalNamespace = await hasHierarchy(store, signal);
  if (hierarchicalNamespace === true) throw hierarchical(store);
  return { hierarchicalNamespace, sasExpires: store.sas?.expires };
}

/** What a SAS says of itself comes first; what the service says decides. */
async function allows(store: BlobStore, permission: Permission, signal: AbortSignal | undefined): Promise<boolean> {
  const letters = store.sas?.permissions;
  if (letters !== undefined && !letters.includes(permission.letter)) return false;
  try {
    await permission.probe(store, signal);
    return true;
  } catch (error) {
    if (isBlobError(error, 'CONDITION', 'NOT_FOUND')) return true;
    if (isBlobError(error, 'AUTH') && (error.authReason === 'permission' || error.authReason === 'role')) return false;
    if (isBlobError(error, 'CONTAINER_NOT_FOUND')) throw containerMissing(store, error);
    throw error;
  }
}

function permissionMissing(store: BlobStore, missing: readonly Permission[]): OperatorError {
  const names = missing.map(({ letter, name }) => `${name} (${letter})`).join(', ');
  const effects = missing.map(({ without }) => without).join('; ');
  return new OperatorError(
    `the credential for container ${store.container} of account ${store.account} lacks the permission to ${names}: ${effects}`,
    {
      code: 'PERMISSION_MISSING',
      exit: 'notAuthorised',
      hint: 'Give a SAS the permissions racwdl, or the identity the role Storage Blob Data Contributor on the container.',
    },
  );
}

function containerMissing(store: BlobStore, cause: unknown): OperatorError {
  return new OperatorError(`there is no container ${store.container} in account ${store.account}`, {
    code: 'CONTAINER_MISSING',
    hint: 'Create it, or correct the container of the archive in the configuration.',
    cause,
  });
}
