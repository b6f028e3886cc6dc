#!/usr/bin/env node
import { join, resolve } from 'node:path';
import { projectRoot } from '../support/project.ts';
import { isSandboxDirectory, SandboxDirectory } from '../support/sandbox-directory.ts';
import { standInObstacle } from '../support/stand-in.ts';
import { type Arguments, parseArguments, USAGE, UsageError } from './arguments.ts';
import { isDescription, type SandboxDescription, shellExports } from './description.ts';
import { up } from './up.ts';

function describe(records: SandboxDirectory): SandboxDescription | undefined {
  const description = records.readDescription();
  return isDescription(description) ? description : undefined;
}

function open(dir: string): SandboxDirectory | undefined {
  return isSandboxDirectory(dir) ? new SandboxDirectory(dir) : undefined;
}

function upHint(dir: string): string {
  return `npm run sandbox -- up${dir === join(projectRoot, '.sandbox') ? '' : ` --dir ${dir}`}`;
}

async function doUp(dir: string, options: Arguments): Promise<number> {
  const obstacle = standInObstacle();
  if (obstacle !== undefined) throw new Error(obstacle);
  const records = new SandboxDirectory(dir);
  const running = records.isUp() ? describe(records) : undefined;
  const description = running ?? (await up(records, options));
  console.log(
    `${running === undefined ? 'up' : 'already up'}: Lustre on ${description.env['LFSAZSYNC_MOUNT']}, ${description.endpoint}, container ${description.env['LFSAZSYNC_CONTAINER']}`,
  );
  console.log(
    `in a shell:  eval "$(npm run -s sandbox -- env${options.dir === undefined ? '' : ` --dir ${options.dir}`})"`,
  );
  return 0;
}

function doEnv(dir: string): number {
  const records = open(dir);
  const description = records?.isUp() === true ? describe(records) : undefined;
  if (description === undefined) throw new Error(`no sandbox runs in ${dir}: ${upHint(dir)}`);
  process.stdout.write(shellExports(description.env));
  return 0;
}

function doStatus(dir: string): number {
  const records = open(dir);
  if (records === undefined) {
    console.log(`down: there is no sandbox in ${dir}`);
    return 1;
  }
  const description = describe(records);
  const isUp = records.isUp() && description !== undefined;
  console.log(`${isUp ? 'up' : 'down'}: ${dir}`);
  for (const line of records.report()) console.log(`  ${line}`);
  if (isUp) console.log(`  endpoint ${description.endpoint}, container ${description.env['LFSAZSYNC_CONTAINER']}`);
  else console.log(`  its data is kept: ${upHint(dir)} takes it up again`);
  return isUp ? 0 : 1;
}

async function doDown(dir: string): Promise<number> {
  const records = open(dir);
  if (records === undefined) {
    console.log(`nothing to do: there is no sandbox in ${dir}`);
    return 0;
  }
  await records.destroy();
  console.log(`down: ${dir} is removed`);
  return 0;
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const options = parseArguments(argv);
    const dir = resolve(options.dir ?? join(projectRoot, '.sandbox'));
    switch (options.action) {
      case 'up':
        return await doUp(dir, options);
      case 'env':
        return doEnv(dir);
      case 'status':
        return doStatus(dir);
      case 'down':
        return await doDown(dir);
    }
  } catch (error) {
    const usage = error instanceof UsageError;
    console.error(`sandbox: ${error instanceof Error ? error.message : String(error)}${usage ? `\n${USAGE}` : ''}`);
    return usage ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
