import { openCatalog } from '../../catalog/open.ts';
import { catalogFile } from '../../catalog/place.ts';
import type { Config } from '../../config/types.ts';
import { copytoolSocket } from '../../copytool/socket.ts';
import type { Fid } from '../../identity/fid.ts';
import { hsmRequest } from '../../lustre/lfs.ts';
import { askService } from '../../service/control/client.ts';
import { quarantined } from '../journal.ts';

/** What can be done from the dashboard; each resolves with a sentence that says what came of it, or rejects. */
export interface Steering {
  pause(): Promise<string>;
  resume(): Promise<string>;
  /** Asks the coordinator to cancel the file's action. */
  cancel(fid: Fid): Promise<string>;
  /** Takes one file, or all, out of the quarantine. */
  retry(fid?: Fid): Promise<string>;
}

export function steeringOf(config: Config): Steering {
  const target = {
    directory: config.runDir,
    name: copytoolSocket(config.mount),
    service: 'copytool',
    start: 'lfsazsync copytool',
  };
  const kinds = ['archive', 'restore', 'remove'];
  return {
    pause: async () => {
      await askService(target, 'pause', { kinds, now: false });
      return 'paused: nothing begins, and every action is kept alive';
    },
    resume: async () => {
      await askService(target, 'resume', { kinds });
      return 'resumed';
    },
    cancel: async (fid) => {
      await hsmRequest({ action: 'cancel', fids: [fid], mount: config.mount, lfs: config.lfs });
      return `asked Lustre to cancel the action on ${fid}`;
    },
    retry: async (fid) => {
      const catalog = openCatalog({ file: catalogFile(config.stateDir) });
      try {
        let count = 0;
        if (fid !== undefined) count = await catalog.journalRetry([fid]);
        else
          for await (const page of quarantined(catalog))
            count += await catalog.journalRetry(page.map((one) => one.fid));
        return `${count} are tried again`;
      } finally {
        catalog.close();
      }
    },
  };
}
