import { opendir } from 'node:fs/promises';
import { readControl } from '../blob/control.ts';
import { createUuid } from '../copies/identity-check.ts';
import { OperatorError } from '../service/errors.ts';
import type { Finding, SetupContext, SetupStep } from './types.ts';

/** The file system has a UUID of ours on its root. */
export function fileSystemStep(context: SetupContext): SetupStep {
  return { look: () => look(context) };
}

async function look(context: SetupContext): Promise<Finding[]> {
  const { fs, identity, takeOver, stores } = context;
  identity.uuid = await fs.readUuid();
  const owners = await Promise.all([...stores.values()].map(async (store) => (await readControl(store))?.fs));
  if (takeOver !== undefined) await mustBeSuccessor(context, takeOver, owners);
  const finding = { step: 'file system', subject: fs.mount };
  if (identity.uuid !== undefined) return [{ ...finding, detail: `UUID ${identity.uuid}` }];
  return [
    {
      ...finding,
      detail: 'give it a UUID',
      apply: async () => {
        identity.uuid = await createUuid(fs);
        return `UUID ${identity.uuid}`;
      },
    },
  ];
}

/** A file system that takes over is another one, and empty: what is in it would be in the way of what it imports. */
async function mustBeSuccessor(
  { fs, identity: { uuid }, signal }: SetupContext,
  takeOver: string,
  owners: readonly (string | undefined)[],
): Promise<void> {
  if (uuid === takeOver) {
    throw new OperatorError(`The file system at ${fs.mount} is ${takeOver} itself: there is nothing to take over.`, {
      code: 'TAKE_OVER_SELF',
      hint: 'Run `lfsazsync setup` without --take-over.',
      exit: 'usage',
    });
  }
  if (!owners.includes(takeOver)) {
    // Finished, or killed after the last control blob: the containers' own step finishes it.
    if (uuid !== undefined && owners.includes(uuid)) return;
    const others = [...new Set(owners.filter((owner) => owner !== undefined))];
    throw new OperatorError(
      `No configured container belongs to file system ${takeOver}; ${others.length === 0 ? 'none has an owner' : `owners are ${others.join(', ')}`}.`,
      {
        code: 'TAKE_OVER_OTHER',
        hint: 'Give the UUID of the file system that is gone. Containers without an owner need no --take-over.',
        exit: 'usage',
      },
    );
  }
  signal.throwIfAborted();
  for await (const { name } of await opendir(fs.mount)) {
    if (name === '.lustre') continue;
    throw new OperatorError(`The file system at ${fs.mount} is not empty (${JSON.stringify(name)}).`, {
      code: 'TAKE_OVER_NOT_EMPTY',
      hint: 'A container is taken over by a new file system. Give this one a container or prefix of its own; it can import from the old one.',
    });
  }
}
