#!/usr/bin/env node
// A reader that goes away (`| head`) ends the program quietly, as it does with other programs.
process.stdout.on('error', (error) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});
process.stderr.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
});

const { main } = await import('../dist/src/cli/main.js');
const code = await main(process.argv.slice(2), import.meta.dirname);
process.stdout.write('', () => process.exit(code));
