#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// A reader that goes away (`| head`) ends the program quietly, as it does with other programs.
process.stdout.on('error', (error) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});
process.stderr.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
});

// Compiled code is kept beside the packages, where only who may change the program can write: never in a shared /tmp.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/lfsazsync'));

const { main } = await import('../dist/src/cli/main.js');
const code = await main(process.argv.slice(2), import.meta.dirname);
process.stdout.write('', () => process.exit(code));
