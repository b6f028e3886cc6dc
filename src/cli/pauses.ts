import type { PauseTable } from '../copytool/control.ts';

/** What is paused now, for people. */
export function renderPauses(paused: PauseTable): string {
  const lines = Object.entries(paused).map(
    ([kind, { since, now }]) =>
      `${kind}: paused since ${since}${now ? ', what had begun is held' : ', what had begun is finished'}`,
  );
  return lines.length === 0 ? 'nothing is paused' : lines.join('\n');
}
