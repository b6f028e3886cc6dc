import type { ArchiveConfig } from '../config/types.ts';
import type { CopytoolFigures } from '../copytool/figures.ts';
import { unavailable } from './part.ts';
import type { ContainerStatus } from './types.ts';

/** The containers as the running copytool has them. */
export function containersOf({ archives }: CopytoolFigures): ContainerStatus[] {
  return Object.entries(archives)
    .filter(([, { endpoint }]) => endpoint !== '')
    .map(([id, { endpoint, container, outage, sasExpires }]) => ({
      ...{ archive: Number(id), endpoint, container },
      ...(outage === undefined ? { state: 'ok' as const } : { state: 'unreachable' as const, ...outage }),
      ...(sasExpires === undefined ? {} : { sasExpires }),
    }));
}

/** Asks an archive's container for its control blob, with one try: can it be reached, and may we read it? */
export async function probeContainer(archive: ArchiveConfig, patience: number): Promise<ContainerStatus> {
  const place = { archive: archive.id, endpoint: archive.endpoint ?? '', container: archive.container };
  try {
    // Azure's library is not needed as long as a copytool answers.
    const [{ BlobStore }, { readControl }] = await Promise.all([
      import('../blob/store.ts'),
      import('../blob/control.ts'),
    ]);
    const signal = AbortSignal.timeout(patience);
    const store = await BlobStore.open(archive, { retry: { tries: 1 }, signal, idleTimeout: patience });
    const expires = store.sas?.expires;
    const found = {
      ...{ ...place, endpoint: store.endpoint },
      ...(expires === undefined ? {} : { sasExpires: expires.toISOString() }),
    };
    try {
      await readControl(store);
      return { ...found, state: 'ok' };
    } catch (error) {
      return { ...found, ...whyNot(signal.aborted ? silent(patience) : error) };
    } finally {
      store.close();
    }
  } catch (error) {
    return { ...place, ...whyNot(error) };
  }
}

function whyNot(error: unknown): Pick<ContainerStatus, 'state' | 'code' | 'reason' | 'hint'> {
  const { available, ...why } = unavailable(error);
  return { state: 'unreachable', ...why };
}

const silent = (patience: number) =>
  Object.assign(new Error(`no answer for ${patience / 1000} s`), { code: 'NO_ANSWER' });
