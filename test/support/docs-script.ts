import { BY_SIGTERM, type DocsWorld } from './docs-world.ts';
import { waitUntil } from './wait.ts';

/** What comes of a command that the documents show, on a sandbox. */
export interface Expected {
  /** The code that it ends with (default 0); of one that stays, after SIGTERM. */
  readonly exit?: number;
  /** What it says, on either stream. */
  readonly says?: RegExp;
  /** It stays: ended as soon as it has said this (a pattern of a line, or a log event). */
  readonly stays?: RegExp | string;
  /** It stays beside those that follow. */
  readonly keeps?: boolean;
  /** What users or operators do just before. */
  readonly before?: (world: DocsWorld) => unknown;
}

export interface Stage {
  readonly name: string;
  readonly before?: (world: DocsWorld) => unknown;
  readonly lines: Readonly<Record<string, Expected>>;
}

/** Shown commands that no sandbox can execute, and why. */
export const NOT_EXECUTED: readonly { readonly commands: readonly string[]; readonly why: string }[] = [
  {
    commands: [
      'systemctl enable --now lfsazsync-copytool lfsazsync-follow lfsazsync-policy.timer',
      'systemctl start lfsazsync-copytool',
      'systemctl start lfsazsync-follow',
    ],
    why: 'needs a machine that systemd has booted; the units start what the script starts by hand, and systemd-analyze verifies them',
  },
  {
    commands: [
      'az group create --name RG --location westeurope',
      'az deployment group create --resource-group RG --template-file infra.bicep',
      'az deployment group create --resource-group RG --template-file lfsazsync.bicep --parameters subnet_id=… lustre_mgs=… storage_account_name=… storage_container_name=lustre ssh_key="$(cat ~/.ssh/id_ed25519.pub)" release_url=https://…/lfsazsync_0.1.0_amd64.deb release_sha256=… changelog_user=cl1',
    ],
    why: 'needs an Azure subscription',
  },
  {
    commands: [
      "azcopy copy 'https://ACCOUNT.blob.core.windows.net/CONTAINER/*?SAS' DIRECTORY --from-to=BlobLocal --recursive --include-directory-stub --preserve-symlinks --exclude-path=.lfsazsync",
    ],
    why: 'test/integration/azcopy.test.ts does it, at Azurite’s address',
  },
  {
    commands: ['lctl --device FSNAME-MDT0000 changelog_register'],
    why: 'only on a metadata server; the stand-in’s user is registered when a sandbox starts',
  },
  {
    commands: [
      `echo '{"v":1,"op":"status"}' | socat - UNIX-CONNECT:/run/lfsazsync/copytool-mnt-lustre.sock | jq .result.queue`,
    ],
    why: 'needs socat and jq, which are no part of the project; test/integration/copytool/control.test.ts speaks the same protocol',
  },
  {
    commands: ['npm run setup', 'npm test', 'npm run demo', 'npm run bench -- data-path'],
    why: 'they set up, run or measure the tests themselves, for minutes',
  },
  {
    commands: [
      'npm run sandbox -- up',
      'eval "$(npm run -s sandbox -- env)"',
      'npm run sandbox -- status',
      'npm run sandbox -- down',
      'echo hello > $LFSAZSYNC_MOUNT/hello',
    ],
    why: 'the script is in a sandbox already, and makes the file itself',
  },
];

/** Something of projects/results.h5 waits in the journal. */
async function waiting(world: DocsWorld): Promise<void> {
  world.change('projects/results.h5');
  await waitUntil(
    'the change waits in the journal',
    async () => (await world.run('lfsazsync journal list --json')).stdout.includes(world.fidOf('projects/results.h5')),
    { interval: 300, timeout: 300_000 },
  );
}

async function removedAgain(world: DocsWorld, ...names: string[]): Promise<void> {
  await world.inStep();
  world.remove(...names);
  await world.removalsSeen(...names);
}

/** Every shown command that a sandbox can execute, in an order that makes sense. */
export const SCRIPT: readonly Stage[] = [
  {
    name: 'a configuration',
    lines: {
      'lfsazsync config import-robinhood /etc/robinhood.d/lustre.conf --output /etc/lfsazsync/config.yaml': {},
      'lfsazsync config import-robinhood --all /etc/robinhood.d/lustre.conf > config.yaml': {},
      'lfsazsync config import-robinhood /opt/robinhood/etc/robinhood.d/lustre.conf --output /etc/lfsazsync/policies.yaml':
        {},
      'lfsazsync config init --force ./config.yaml': { says: /Wrote/ },
      'lfsazsync config validate ./config.yaml': {},
      'bin/lfsazsync config init': { before: (world) => world.forgetConfiguration(), says: /Wrote/ },
      'lfsazsync config init': { before: (world) => world.forgetConfiguration(), says: /Wrote/ },
      'bin/lfsazsync config validate': { before: (world) => world.fillIn() },
      'lfsazsync config validate': {},
      'lfsazsync config show': { says: /mount/ },
      'lfsazsync config show --json': { says: /"mount"/ },
    },
  },
  {
    name: 'first start',
    lines: {
      'lfsazsync doctor --administrator': { says: /changelog_register/ },
      'lfsazsync doctor --only container --only changelog': {},
      'bin/lfsazsync doctor': {},
      'lfsazsync doctor': {},
      'lfsazsync doctor --bundle /tmp/lfsazsync-support.tar.gz': {},
      'lfsazsync setup --dry-run': { says: /A dry run/ },
      'bin/lfsazsync setup': {},
      'lfsazsync setup': { says: /lfsazsync-copytool.service/ },
      // Nothing runs yet.
      'lfsazsync status': { exit: 3, says: /the copytool is not running/ },
      'lfsazsync scan': {},
      'lfsazsync scan --json': {},
      'lfsazsync scan --adopt': {},
      'bin/lfsazsync copytool': { stays: 'copytool ready', exit: BY_SIGTERM },
      'lfsazsync copytool --config /etc/lfsazsync/config.yaml': { stays: 'copytool ready', exit: BY_SIGTERM },
      'lfsazsync copytool': { stays: 'copytool ready', keeps: true },
      'bin/lfsazsync changelog-follow': { stays: 'follower ready', exit: BY_SIGTERM },
      'lfsazsync changelog-follow --once': {},
      'lfsazsync changelog-follow --once --json': {},
      'lfsazsync changelog-follow': { stays: 'follower ready', keeps: true },
    },
  },
  {
    name: 'import',
    before: async (world) => {
      for (const name of ['a.dat', 'b/c.dat'])
        await world.sandbox.containerClient.getBlockBlobClient(`projects/2024/${name}`).upload('foreign', 7);
    },
    lines: {
      'lfsazsync import --dry-run': {},
      'lfsazsync import --prefix projects/2024 --report left-out.ndjson': {},
      'lfsazsync import --prefix projects/2024 --report /var/tmp/import.ndjson': {},
      'lfsazsync restore --recursive /mnt/lustre/projects/2024': {},
      'lfsazsync import --refresh --delete': {},
    },
  },
  {
    name: 'users’ files',
    before: async (world) => {
      for (const name of ['a', 'b', 'hello', 'results.h5', 'project/data.bin', 'projects/a.dat', 'projects/results.h5'])
        world.file(name);
      for (const name of [
        'projects/x/1',
        'projects/new/1',
        'projects/urgent/1',
        'projects/old/1',
        'scratch/1',
        'run42/1',
      ])
        world.file(name);
      world.file('projects/large', 17 * 2 ** 20);
      await world.noteFid('projects/results.h5');
      // The follower puts them into the catalog, where policies look.
      await world.inStep();
    },
    lines: {
      'lfsazsync scan --path /mnt/lustre/projects/new': {},
      'lfsazsync policy list': { says: /archive/ },
      'lfsazsync policy list --json': {},
      'lfsazsync policy explain /mnt/lustre/projects/a.dat': {},
      'lfsazsync policy explain /mnt/lustre/project/data.bin': {},
      'lfsazsync policy explain --json /mnt/lustre/a /mnt/lustre/b': {},
      'lfsazsync policy-run --check-triggers': {},
      'lfsazsync policy-run archive --dry-run': { says: /archive/ },
      'lfsazsync policy-run': { says: /archive/ },
      'lfsazsync policy-run archive --target path:/mnt/lustre/projects --wait': {},
      'lfsazsync policy-run --every 5m': { stays: /./, exit: BY_SIGTERM },
      'lfsazsync policy-run release --target ost:3 --dry-run --verbose': {},
      'lfsazsync policy-run release --target ost:3 --max-bytes 10TiB': {},
      'lfsazsync policy runs': { says: /archive/ },
      'lfsazsync policy runs --policy release --limit 5 --json': {},
      'lfsazsync policy failures': {},
      'lfsazsync policy failures --json': {},
      'lfsazsync policy retry --all': {},
      // Nothing has failed.
      'lfsazsync policy retry 0x200000401:0x1f:0x0 /mnt/lustre/projects/results.h5': {
        exit: 3,
        says: /have not failed/,
      },
      'lfs hsm_state $LFSAZSYNC_MOUNT/hello': {},
      'bin/lfsazsync archive --wait $LFSAZSYNC_MOUNT/hello': {},
      'bin/lfsazsync archive --recursive --wait /mnt/lustre/project': {},
      'lfsazsync archive /mnt/lustre/results.h5': {},
      'find /mnt/lustre -size +1G -print0 | lfsazsync archive --files-from - --from0': {},
      'lfsazsync archive --recursive --older-than 30m --wait /mnt/lustre/projects': {},
      'lfsazsync archive --recursive --wait /mnt/lustre/projects': {},
      'lfsazsync cancel /mnt/lustre/results.h5': {},
      'lfsazsync cancel --recursive --wait /mnt/lustre/projects': {},
      'lfsazsync release --recursive --larger 16MiB --older-than 7d /mnt/lustre/projects': {},
      'lfsazsync release /mnt/lustre/results.h5': {
        before: (world) => world.run('lfsazsync archive --wait /mnt/lustre/results.h5'),
      },
      'lfsazsync restore /mnt/lustre/results.h5': {},
      'find /mnt/lustre/run42 -type f -print0 | lfsazsync restore --files-from - --from0 --wait': {},
      'lfsazsync restore --recursive --wait --wait-timeout 2h /mnt/lustre/projects': {},
      'lfsazsync remove --recursive --dry-run /mnt/lustre/scratch': {},
      'lfsazsync remove /mnt/lustre/results.h5': {},
    },
  },
  {
    name: 'what there is',
    before: (world) => world.inStep(),
    lines: {
      'lfsazsync status --json': {},
      'lfsazsync status --plain --watch 5': { stays: /copytool/, exit: BY_SIGTERM },
      'lfsazsync metrics': { says: /lfsazsync_service_up/ },
      'lfsazsync metrics --output /var/lib/node_exporter/lfsazsync.prom': {},
      'lfsazsync metrics --listen 127.0.0.1:9470': { stays: /serving/, exit: BY_SIGTERM },
      'lfsazsync find /mnt/lustre/projects --size +1G --mtime +90d': {},
      [`lfsazsync find --where 'type == file and released and not tree == "/mnt/lustre/scratch"'`]: {},
      'lfsazsync find --state dirty --print0 | xargs -0 ls -l': {},
      [`lfsazsync find --type f --sort size --descending --limit 20 --format '%s\\t%U\\t%p\\n'`]: {},
      'lfsazsync report': {},
      'lfsazsync report --by user --by state --csv > usage.csv': {},
      'lfsazsync report --by age --by size --type f --group astro --top-files 20': {},
      'lfsazsync report --by age --type f --user alice --top-files 20': {},
      'lfsazsync report --top-directories 10 --top-users 10': {},
      'lfsazsync sweep': {},
      'lfsazsync sweep --restart': {},
      'lfsazsync sweep --json': {},
      'lfsazsync verify': { before: (world) => world.inStep(), says: /Nothing was found to be wrong/ },
      'lfsazsync verify --path /mnt/lustre/projects --checksum': {},
      'lfsazsync verify --report findings.ndjson': {},
      'lfsazsync verify --path /mnt/lustre/projects --checksum --report findings.ndjson': {},
      'lfsazsync verify --repair': {},
      'lfsazsync verify --repair --json': {},
      'lfsazsync journal list': {},
      'lfsazsync journal list --quarantined --limit 1000 --json': {},
    },
  },
  {
    name: 'services that are steered',
    // So that what is in the journal stays there.
    before: (world) => world.run('lfsazsync changelog-follow ctl pause'),
    lines: {
      'lfsazsync copytool ctl status': {},
      'lfsazsync copytool ctl status --json --actions 1000': {},
      'lfsazsync copytool ctl status --watch 2': { stays: /archive/, exit: BY_SIGTERM },
      'lfsazsync copytool ctl pause': {},
      'lfsazsync copytool ctl pause archive': {},
      'lfsazsync copytool ctl pause all --now': {},
      'lfsazsync copytool ctl reload': {},
      'lfsazsync copytool ctl resume restore': {},
      'lfsazsync copytool ctl resume': {},
      'lfsazsync copytool ctl set bandwidth 500MiB/s': {},
      'lfsazsync copytool ctl set bandwidth_archive unlimited': {},
      'lfsazsync copytool ctl set concurrency 32': {},
      'lfsazsync copytool ctl set log.level debug': {},
      'lfsazsync changelog-follow ctl status': {},
      'lfsazsync changelog-follow ctl status --json': {},
      'lfsazsync changelog-follow ctl reload': {},
      'lfsazsync changelog-follow ctl release-brake': {},
      'lfsazsync changelog-follow ctl pause': {},
      'lfsazsync journal retry --quarantined': { says: /0/ },
      'lfsazsync journal retry 0x200000401:0x1f:0x0': { before: waiting, says: /1 of 1/ },
      'lfsazsync journal retry /mnt/lustre/projects/results.h5': { before: waiting, says: /1 of 1/ },
      'lfsazsync journal retry 0x200000401:0x1f:0x0 /mnt/lustre/projects/results.h5': { before: waiting },
      'lfsazsync journal drop --quarantined': {},
      'lfsazsync journal drop 0x200000401:0x1f:0x0': { before: waiting, says: /1 of 1/ },
      'lfsazsync journal drop /mnt/lustre/projects/results.h5': { before: waiting, says: /1 of 1/ },
      'lfsazsync changelog-follow ctl resume': {},
    },
  },
  {
    name: 'what was removed',
    before: async (world) => {
      await world.run('lfsazsync changelog-follow ctl resume');
      world.file('projects/gone');
      await world.noteFid('projects/gone');
      await world.run('lfsazsync archive --recursive --wait /mnt/lustre/projects');
      await world.inStep();
      await removedAgain(world, 'projects/results.h5', 'projects/old', 'projects/gone');
    },
    lines: {
      'lfsazsync undelete --list /mnt/lustre/projects': { says: /projects\/results.h5/ },
      'lfsazsync undelete /mnt/lustre/projects/results.h5': {},
      'lfsazsync undelete --recursive /mnt/lustre/projects/old': {},
      'lfsazsync undelete 0x200000401:0x1a:0x0': {},
      'lfsazsync undelete --list --search /mnt/lustre/projects': {
        before: (world) => removedAgain(world, 'projects/old'),
        says: /projects\/old/,
      },
      'lfsazsync undelete --search --recursive /mnt/lustre/projects/old': {},
      'lfsazsync undelete --search /mnt/lustre/projects/results.h5': {
        before: (world) => removedAgain(world, 'projects/results.h5'),
      },
    },
  },
  {
    name: 'the file system is lost',
    before: (world) => world.lose(),
    lines: {
      'lfsazsync setup --take-over OLD-UUID': {},
      'lfsazsync setup --take-over 0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10': {},
      'lfsazsync import --report /var/tmp/import.ndjson': {},
      'lfsazsync restore --recursive --wait /mnt/lustre/projects/urgent': {
        before: (world) => world.start('lfsazsync copytool').waitFor('copytool ready'),
      },
      'lfsazsync setup --uninstall': {},
    },
  },
];
