import { run } from '../service/run.ts';

/** A parameter of one device: `mdt.lustrefs-MDT0000.hsm_control`. */
export interface Parameter {
  readonly name: string;
  /** Of several lines where it has several. */
  readonly value: string;
}

/**
 * The parameters that match a pattern such as `mdt.*.hsm_control`, or one of several; none where this machine does not
 * have them, as on a client, which does not see those of its servers. For a pattern without a match `lctl` ends with 2,
 * and prints what the others have.
 */
export async function readParameters(
  pattern: string | readonly string[],
  { lctl = 'lctl', signal }: { readonly lctl?: string | undefined; readonly signal?: AbortSignal } = {},
): Promise<Parameter[]> {
  const { stdout } = await run(lctl, ['get_param', ...[pattern].flat()], { timeout: 20_000, signal });
  return parseParameters(stdout.toString('utf8'));
}

/** `name=value` a line; a value of several lines begins on the next one. */
export function parseParameters(text: string): Parameter[] {
  const found: { name: string; lines: string[] }[] = [];
  for (const line of text.split('\n')) {
    const named = /^((?:[a-z]\w*)\.[\w.-]+)=(.*)$/.exec(line);
    if (named !== null) found.push({ name: named[1] as string, lines: named[2] === '' ? [] : [named[2] as string] });
    else if (line !== '') found.at(-1)?.lines.push(line);
  }
  return found.map(({ name, lines }) => ({ name, value: lines.join('\n').trim() }));
}

/** The device that a parameter is of: `lustrefs-MDT0000`. */
export function deviceOf({ name }: Parameter): string {
  return name.split('.')[1] ?? '';
}

/** A changelog user as `mdd.*.changelog_users` lists it. */
export interface ChangelogUser {
  /** `cl1`, `cl5-named`. */
  readonly id: string;
  /** The last record that it cleared. */
  readonly index: number;
  /** Seconds since it last cleared one. */
  readonly idle?: number;
}

export function parseChangelogUsers(value: string): {
  readonly current: number | undefined;
  readonly users: ChangelogUser[];
} {
  const current = /^current_index: (\d+)$/m.exec(value)?.[1];
  const users = [...value.matchAll(/^(cl\d+\S*)\s+(\d+)(?:\s+\((\d+)\))?/gm)].map(([, id, index, idle]) => ({
    id: id as string,
    index: Number(index),
    ...(idle === undefined ? {} : { idle: Number(idle) }),
  }));
  return { current: current === undefined ? undefined : Number(current), users };
}
