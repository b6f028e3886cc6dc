/** The one table of exit codes; the operator's guide and every command's help are made from it. */
export const EXIT = {
  ok: { code: 0, meaning: 'all done' },
  failed: { code: 1, meaning: 'failed' },
  usage: { code: 2, meaning: 'usage or configuration error' },
  partial: { code: 3, meaning: 'partly done: some files were skipped or failed' },
  tryAgain: { code: 5, meaning: 'try again later: nothing is wrong with the request' },
  locked: { code: 6, meaning: 'locked: another process of lfsazsync is at work' },
  notAuthorised: { code: 7, meaning: 'not authorised: a credential is missing or refused, or a permission is lacking' },
  interrupted: { code: 130, meaning: 'ended by SIGINT' },
  terminated: { code: 143, meaning: 'ended by SIGTERM' },
} as const;

export type ExitName = keyof typeof EXIT;
