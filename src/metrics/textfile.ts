import { rename, rm, writeFile } from 'node:fs/promises';

/** Puts a text in a file's place, so that whoever reads it sees the old or the new one, whole. World-readable. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const draft = `${file}.${process.pid}.new`;
  try {
    await writeFile(draft, text, { mode: 0o644 });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
