import { readFileSync } from 'node:fs';
import { type ErrorDetails, OperatorError } from '../service/errors.ts';
import { ERRNO, errnoText } from './errno.ts';

/** The line with which a helper that can't start says why (docs/internals/helper-protocol.md). */
export interface FatalLine {
  readonly t: 'fatal';
  readonly code: string;
  readonly rc: number;
  readonly message: string;
  readonly holder?: number;
}

/** Root here is not root there (`mdt_hsm_is_admin`, and what stands before `.lustre/fid`). */
const SQUASHED =
  'Exempt this client from root squash (`nosquash_nids`; of a managed file system, its root squash settings). Where nodemaps are active, its own needs admin=1 and trusted=1, and, since Lustre 2.16, the rbac roles byfid_ops, chlg_ops and hsm_ops. The process needs CAP_SYS_ADMIN.';

/** What the operator is told, and what to do next. */
export function fatalError(fatal: FatalLine, mount: string): OperatorError {
  // What comes after a semicolon is advice for those who run the helper by hand.
  const reason = fatal.message === '' ? errnoText(-fatal.rc) : fatal.message.replace(/;.*$/s, '');
  const say = (message: string, details: Partial<ErrorDetails> & { hint: string }) =>
    new OperatorError(message, { code: fatal.code, ...details });
  switch (fatal.code) {
    case 'NOT_LUSTRE':
      if (reason.includes('is in a Lustre file system')) {
        return say(`${reason}.`, {
          hint: 'The setting mount is the mount point itself, and the whole file system has to be mounted there, not a directory of it.',
        });
      }
      return say(`${mount} is not a mounted Lustre file system.`, {
        hint: `Mount it, or correct the setting mount (\`mount -t lustre\` lists what is mounted).`,
      });
    case 'NO_LIBRARY':
      return say(`Lustre's library can't be loaded: ${reason}`, {
        hint: 'Install the Lustre client package, or name the library with the setting liblustreapi.',
      });
    case 'LIBRARY_UNFIT':
      return say(`Lustre's library does not fit: ${reason}`, {
        hint: 'lfsazsync needs liblustreapi of Lustre 2.12 or later; install the client that belongs to the file system.',
      });
    case 'LOCKED': {
      return say(`A copytool is at work on ${mount} already: ${holderOf(fatal.holder)} the lock.`, {
        hint: 'One client can run one copytool. Stop the other first, or run this one on another client.',
        exit: 'locked',
      });
    }
    case 'NOT_ROOT':
      return say(`This needs root: ${reason}`, {
        hint: process.geteuid?.() === 0 ? SQUASHED : 'Run it as root, as the services do.',
        exit: 'notAuthorised',
      });
    case 'NO_CHANGELOG':
      return say(`No changelog can be read on ${mount}: ${reason}`, {
        hint: 'See that the MDT is named as `lfs mdts` shows it, without `_UUID`, and that this client is connected to it.',
      });
    case 'REGISTER_FAILED':
      if (fatal.rc === -ERRNO.EPERM || fatal.rc === -ERRNO.EACCES)
        return say(`Lustre refused the copytool on ${mount}: ${reason}`, { hint: SQUASHED, exit: 'notAuthorised' });
      return say(`Lustre refused the copytool on ${mount}: ${reason}`, {
        hint: 'See that the coordinator is enabled (hsm_control on the MDT) and that no other copytool runs on this client.',
      });
    default:
      return say(`The native helper can't start on ${mount}: ${reason}`, {
        hint: 'See the lines that it wrote to the log.',
      });
  }
}

/** The lock is held by a native helper; what can be stopped is the copytool that started it. */
function holderOf(helper: number | undefined): string {
  if (helper === undefined) return 'another process holds';
  const copytool = parentOf(helper);
  return copytool === undefined ? `process ${helper} holds` : `process ${copytool} (by its helper ${helper}) holds`;
}

/** Linux: the fourth field of /proc/PID/stat; before it, in parentheses, a name that may hold anything. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return parent > 1 ? parent : undefined;
  } catch {
    return undefined;
  }
}
