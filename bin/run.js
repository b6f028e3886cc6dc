#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// A reader that goes away (`| head`) ends the program quietly, as it does with other programs. Anything else (a full
// disk) means that what was asked for is not all there: never success.
const failed = (error) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  process.stderr.write(`error: can't write to standard output: ${error.message}\n`);
  process.exit(1);
};
process.stdout.on('error', failed);
process.stderr.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
});

// Compiled code is kept beside the packages, where only who may change the program can write: never in a shared /tmp.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/lfsazsync'));

const { main } = await import('../dist/src/cli/main.js');
const code = await main(process.argv.slice(2), import.meta.dirname);
// An error of an earlier write may be on its way still: the empty one comes after it, and meets it again.
process.stdout.write('', (error) => (error ? failed(error) : process.exit(code)));
