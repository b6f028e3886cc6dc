import { run } from '../service/run.ts';

/**
 * A parameter's values by full name, as `lctl get_param` knows them; an empty map where it is not to be seen. On a
 * client, which is all that a managed Lustre gives, `mdt.*` and `mdd.*` never are: use this for what is a bonus.
 * @param pattern such as `mdc.*.mds_server_uuid`
 */
export async function getParam(
  pattern: string,
  options: { readonly lctl?: string; readonly signal?: AbortSignal } = {},
): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await run(options.lctl ?? 'lctl', ['get_param', pattern], {
    signal: options.signal,
    timeout: 30_000,
  });
  return parseParams(stdout.toString('utf8'));
}

/** Reads `name=value` lines; a value that starts on the next line goes to the next name. */
export function parseParams(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let name: string | undefined;
  for (const line of text.split('\n')) {
    const match = /^([a-z][\w-]*(?:\.[^\s=]+)+)=(.*)$/.exec(line);
    if (match !== null) {
      name = match[1] as string;
      values.set(name, match[2] as string);
    } else if (name !== undefined && line !== '') {
      const held = values.get(name) as string;
      values.set(name, held === '' ? line : `${held}\n${line}`);
    }
  }
  return values;
}
