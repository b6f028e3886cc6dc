import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from './project.ts';
import { run } from './run.ts';

/** What `scripts/package` has made of one version, for this machine. */
export interface Release {
  readonly version: string;
  /** Directory of all files. */
  readonly out: string;
  /** The folder with everything, packed. */
  readonly tarball: string;
  /** The same unpacked has this name. */
  readonly folder: string;
  readonly deb: string;
  /** The npm package. */
  readonly tgz: string;
}

/** What a later version has that this one does not know. */
export interface LaterVersion {
  readonly version: string;
  /** SQL that leads from this version's schema of the catalog to its own. */
  readonly migration: string;
  /** What it changes in a template of deploy/systemd. */
  readonly unit: { readonly name: string; readonly from: string; readonly to: string };
}

const PACKED = ['bin', 'commands', 'deploy', 'docs', 'native-helpers', 'scripts', 'src'];
const FILES = ['package.json', 'package-lock.json', 'tsconfig.json', 'LICENSE', 'CHANGELOG.md', 'README.md', '.npmrc'];

/** Packs a source tree: the project's own, or a copy. Takes minutes. */
export async function packRelease(out: string, source: string = projectRoot): Promise<Release> {
  const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { version: string };
  const { exitCode, stderr } = await run('sh', [join(source, 'scripts/package'), '--arch', arch(), '--out', out], {
    // Packed as it is, only not as small: nine tenths of the time is xz's.
    env: { ...process.env, XZ_OPT: '-0', DPKG_DEB_COMPRESSOR_LEVEL: '0' },
    timeout: 3_000_000,
  });
  if (exitCode !== 0) throw new Error(`scripts/package: ${stderr.slice(-4_000)}`);
  const folder = `lfsazsync-${version}-linux-${arch()}`;
  return {
    ...{ version, out, folder, tarball: join(out, `${folder}.tar.xz`) },
    deb: join(out, `lfsazsync_${version}_${arch() === 'x64' ? 'amd64' : 'arm64'}.deb`),
    tgz: join(out, `lfsazsync-${version}.tgz`),
  };
}

/** Packs a later version: a copy of the project in `directory`, changed as a later version would be. */
export async function packLater(out: string, directory: string, later: LaterVersion): Promise<Release> {
  const source = join(directory, 'source');
  mkdirSync(source);
  const isSource = (path: string) => path !== join(projectRoot, 'native-helpers/build');
  for (const name of [...PACKED, ...FILES]) {
    const from = join(projectRoot, name);
    if (existsSync(from))
      cpSync(from, join(source, name), { recursive: true, preserveTimestamps: true, filter: isSource });
  }
  symlinkSync(join(projectRoot, 'node_modules'), join(source, 'node_modules'));
  edit(join(source, 'package.json'), /"version": "[^"]+"/, `"version": "${later.version}"`);
  const migrations = /(const MIGRATIONS: readonly string\[\] = \[[^\]]*?),?\s*\]/;
  edit(join(source, 'src/catalog/migrations.ts'), migrations, `$1, ${JSON.stringify(later.migration)}]`);
  edit(join(source, 'deploy/systemd', later.unit.name), later.unit.from, later.unit.to);
  try {
    return await packRelease(out, source);
  } finally {
    rmSync(source, { recursive: true });
  }
}

function edit(file: string, from: string | RegExp, to: string): void {
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(from, to);
  if (changed === text) throw new Error(`${file} has no ${from}`);
  writeFileSync(file, changed);
}
