/**
 * Cuts a failing script down: takes pieces out, ever smaller ones, as long as what is left still fails.
 * @param fails plays a script in a fresh world; what went wrong, or undefined
 * @param until no further try after this time (milliseconds since the epoch)
 */
export async function shrink<T>(
  script: readonly T[],
  fails: (script: readonly T[]) => Promise<string | undefined>,
  until: number,
): Promise<readonly T[]> {
  let best = script;
  for (let size = Math.ceil(best.length / 2); size >= 1; ) {
    let cut = false;
    for (let from = best.length - size; from > -size && Date.now() < until; from -= size) {
      const start = Math.max(from, 0);
      const fewer = [...best.slice(0, start), ...best.slice(start + size)];
      if (fewer.length < best.length && (await fails(fewer)) !== undefined) {
        best = fewer;
        cut = true;
      }
    }
    if (Date.now() >= until) break;
    if (size === 1 && !cut) break;
    size = cut ? Math.min(size, Math.ceil(best.length / 2)) : Math.ceil(size / 2);
    if (!cut && size === 1 && best.length === 1) break;
  }
  return best;
}
