const started = performance.now();

/** A line of the story, with the seconds since its beginning. */
export function tell(line: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${line}`);
}

/** A figure that belongs to the line above. */
export function detail(line: string): void {
  console.log(`            ${line}`);
}

export function number(value: number): string {
  return value.toLocaleString('en-US');
}

/** Bytes for people. */
export function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? number(value) : value.toFixed(1)} ${units[unit]}`;
}

/** The seconds that something takes, and what it gives. */
export async function timed<T>(work: Promise<T>): Promise<{ result: T; seconds: number }> {
  const begin = performance.now();
  const result = await work;
  return { result, seconds: Math.max(0.001, (performance.now() - begin) / 1000) };
}
