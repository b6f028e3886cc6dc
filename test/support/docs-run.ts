import type { Expected, Stage } from './docs-script.ts';
import type { DocsWorld } from './docs-world.ts';

/** Runs one stage's lines that `wanted` takes, in their order; what failed to do as expected is told of all of them. */
export async function runStage(world: DocsWorld, stage: Stage, wanted: (shown: string) => boolean): Promise<string[]> {
  const wrong: string[] = [];
  await stage.before?.(world);
  for (const [shown, expected] of Object.entries(stage.lines)) {
    if (!wanted(shown)) continue;
    const problem = await problemOf(world, shown, expected);
    if (problem !== undefined) wrong.push(`${shown}\n  as: ${world.real(shown)}\n  ${problem}`);
  }
  return wrong;
}

async function problemOf(world: DocsWorld, shown: string, expected: Expected): Promise<string | undefined> {
  const { exit = 0, says, stays, keeps = false, before } = expected;
  try {
    await before?.(world);
    if (stays !== undefined) {
      await world.start(shown).waitFor(stays);
      const ended = keeps ? exit : await world.end(shown);
      return ended === exit ? undefined : `ended with ${ended}, not ${exit}`;
    }
    const { exitCode, stdout, stderr } = await world.run(shown);
    const said = `${stdout}${stderr}`;
    if (exitCode !== exit) return `ended with ${exitCode}, not ${exit}: ${said.slice(-2_000)}`;
    return says === undefined || says.test(said) ? undefined : `did not say ${says}: ${said.slice(-2_000)}`;
  } catch (error) {
    return String(error);
  }
}
