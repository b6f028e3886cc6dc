import { foreignClaim } from '../blob/claims.ts';
import { type Control, claimContainer, controlName, readControl, requireFree, where } from '../blob/control.ts';
import { checkContainer } from '../blob/preflight.ts';
import type { BlobStore } from '../blob/store.ts';
import { requireAbandoned, takeOver } from '../blob/take-over.ts';
import { OperatorError } from '../service/errors.ts';
import type { Finding, SetupContext, SetupStep } from './types.ts';

/** Each configured container can be worked with, and is the file system's: claimed by it, or taken over. */
export function containersStep(context: SetupContext): SetupStep {
  return {
    look: async () => {
      const findings: Finding[] = [];
      for (const [archive, store] of context.stores) findings.push(await look(context, archive, store));
      return findings;
    },
  };
}

async function look(context: SetupContext, archive: number, store: BlobStore): Promise<Finding> {
  const { identity, signal, takeOver: from } = context;
  await checkContainer(store, { need: 'write', signal });
  const control = await readControl(store, signal);
  const finding = { step: `archive ${archive}`, subject: subjectOf(store) };
  if (control === undefined) {
    await requireFree(store, identity.uuid, signal);
    return { ...finding, detail: 'claim it', apply: () => claim(context, store) };
  }
  if (control.fs === identity.uuid) return own(context, store, control, finding);
  if (control.fs !== from) throw othersContainer(context, store, control.fs);
  await requireAbandoned(store, signal);
  return {
    ...finding,
    detail: `take it over from ${from}`,
    apply: () => take(context, archive, store, from),
  };
}

/** A take-over that was killed between the control blob and the claims is finished. */
async function own(
  { identity, signal, takeOver: from }: SetupContext,
  store: BlobStore,
  { fs, previous }: Control,
  finding: Pick<Finding, 'step' | 'subject'>,
): Promise<Finding> {
  const foreign = await foreignClaim(store, { prefix: store.prefix, fs }, signal);
  const since = previous?.some((one) => one.fs === from) === true ? `, taken over from ${from}` : '';
  if (foreign === undefined || since === '' || foreign.fs !== from) {
    return { ...finding, detail: `belongs to it${since}` };
  }
  return {
    ...finding,
    detail: 'finish taking it over',
    apply: async () => {
      await takeOver(store, { from, to: identity.uuid as string }, () => Promise.resolve(), signal);
      return `belongs to it${since}`;
    },
  };
}

async function claim({ identity, signal }: SetupContext, store: BlobStore): Promise<string> {
  await claimContainer(store, identity.uuid as string, signal);
  return 'claimed';
}

async function take(context: SetupContext, archive: number, store: BlobStore, from: string): Promise<string> {
  const { identity, audit, signal } = context;
  const to = identity.uuid as string;
  await takeOver(
    store,
    { from, to },
    ({ etag }) => audit(archive, controlName(store.prefix), etag, `taken over from ${from} by ${to}`),
    signal,
  );
  return `taken over from ${from}`;
}

function subjectOf({ account, container, prefix }: BlobStore): string {
  return `${account}/${container}${prefix === '' ? '' : `/${prefix}`}`;
}

function othersContainer({ fs, identity }: SetupContext, store: BlobStore, owner: string): OperatorError {
  const here = identity.uuid === undefined ? 'has no UUID yet' : `is ${identity.uuid}`;
  return new OperatorError(`${where(store)} belongs to file system ${owner}; the one at ${fs.mount} ${here}.`, {
    code: 'IDENTITY_MISMATCH',
    hint: `Is the right file system mounted? Another one needs a container or prefix of its own. Only if the old one is gone for ever: \`lfsazsync setup --take-over ${owner}\`.`,
  });
}
