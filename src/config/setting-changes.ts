import type { LoadedConfig } from './load.ts';
import { settingsOf } from './show.ts';

/** A setting that is another one now. */
export interface Change {
  readonly setting: string;
  /** As an operator would write it; absent where it was, or is, not set. */
  readonly from?: string;
  readonly to?: string;
}

/** A setting as an operator would write it; undefined when it is not set. */
export function writtenValue(loaded: LoadedConfig, setting: string): string | undefined {
  return settingsOf(loaded).find(({ path }) => path === setting)?.value;
}

/** All that is not the same in two configurations. */
export function differences(before: LoadedConfig, after: LoadedConfig): Change[] {
  const [from, to] = [before, after].map(
    (loaded) => new Map(settingsOf(loaded).map(({ path, value }) => [path, value])),
  );
  const settings = new Set([...(from?.keys() ?? []), ...(to?.keys() ?? [])]);
  return [...settings]
    .filter((setting) => from?.get(setting) !== to?.get(setting))
    .map((setting) => changeOf(setting, from?.get(setting), to?.get(setting)));
}

export function changeOf(setting: string, from: string | undefined, to: string | undefined): Change {
  return { setting, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}
