import { describe, expect, test } from 'vitest';
import { READ_DEFAULTS, readBlob } from './reading.ts';
import type { ReadAs } from './reading-types.ts';
import { blobState } from './state.ts';

// What each tool writes, from its documentation or source; docs/blob-format.md names them.

const LAST_MODIFIED = 1_770_091_506_000_000_000n;

interface Blob {
  readonly name?: string;
  readonly length?: bigint;
  readonly [property: string]: unknown;
}

function read(metadata: Record<string, string>, { name = 'd/x', length = 0n, ...more }: Blob = {}): ReadAs {
  const blob = blobState({
    name,
    length,
    etag: '"0x1"',
    metadata,
    lastModified: new Date(Number(LAST_MODIFIED / 1_000_000n)),
    blobType: 'BlockBlob',
    copyStatus: undefined,
    accessTier: undefined,
    archiveStatus: undefined,
    leaseState: undefined,
    customerKey: undefined,
    ...more,
  });
  return readBlob(blob, { prefix: '', defaults: READ_DEFAULTS });
}

type Row = [what: string, metadata: Record<string, string>, blob: Blob, expected: object];

const at = (uid: number, gid: number, mode: number, mtime: bigint, style: string) => ({
  attributes: { uid, gid, mode, mtime, style },
});
const TIME = '2024-05-01 14:00:00 +0200';
const MTIME = 1_714_564_800_000_000_000n;
const etag = { bind: { etag: '"0x1"' } };

const amlfs: Row[] = [
  [
    'a file',
    { owner: '1000', group: '100', permissions: '0640' },
    { length: 9n },
    { kind: 'file', size: 9n, ...etag, ...at(1000, 100, 0o640, LAST_MODIFIED, 'amlfs'), warnings: [] },
  ],
  ['sticky', { permissions: '1777' }, {}, at(0, 0, 0o1777, LAST_MODIFIED, 'amlfs')],
  ['letters', { permissions: 'rwxr-x--x' }, {}, at(0, 0, 0o751, LAST_MODIFIED, 'amlfs')],
  ['letters with sticky behind', { permissions: 'rwxrwxrwxt' }, {}, at(0, 0, 0o1777, LAST_MODIFIED, 'amlfs')],
  ['letters as ls has them', { permissions: 'rwsr-Sr-T' }, {}, at(0, 0, 0o7744, LAST_MODIFIED, 'amlfs')],
  ['letters of an ACL', { permissions: 'rw-r-----+' }, {}, at(0, 0, 0o640, LAST_MODIFIED, 'amlfs')],
  ['capitals', { Owner: '5', GROUP: '6', Permissions: '0600' }, {}, at(5, 6, 0o600, LAST_MODIFIED, 'amlfs')],
  ['root by name', { owner: 'root', group: 'wheel' }, {}, at(0, 0, 0o644, LAST_MODIFIED, 'amlfs')],
  [
    'a directory',
    { hdi_isfolder: 'True', owner: '1', group: '2', permissions: '0750' },
    { name: 'd' },
    { kind: 'dir', path: Buffer.from('d'), explicit: true, ...at(1, 2, 0o750, LAST_MODIFIED, 'amlfs') },
  ],
  [
    'a directory about which nothing is said',
    { Hdi_isfolder: 'true' },
    {},
    { kind: 'dir', explicit: false, ...at(0, 0, 0o777, LAST_MODIFIED, 'none') },
  ],
  [
    'a symlink: the body is its target',
    { ftype: 'lnk' },
    { length: 3n },
    { kind: 'symlink', attributes: { mode: 0o777 } },
  ],
  ['a folder over a symlink', { hdi_isfolder: 'true', ftype: 'LNK', is_symlink: 'true' }, {}, { kind: 'dir' }],
  ['a symlink without a target', { ftype: 'LNK' }, {}, { kind: 'refused', reason: 'target-missing' }],
  ['a target that is too long', { ftype: 'LNK' }, { length: 4096n }, { kind: 'refused', reason: 'target-too-long' }],
  [
    'what does not read',
    { owner: 'alice', group: '4294967295', permissions: '0888', modtime: 'now', ftype: 'DIR', hdi_isfolder: 'yes' },
    {},
    {
      kind: 'file',
      ...at(0, 0, 0o644, LAST_MODIFIED, 'none'),
      warnings: [
        { code: 'type-unknown', detail: 'hdi_isfolder is "yes"' },
        { code: 'type-unknown', detail: 'ftype is "DIR"' },
        { code: 'attribute-unreadable', detail: 'owner is "alice"' },
        { code: 'attribute-unreadable', detail: 'group is "4294967295"' },
        { code: 'attribute-unreadable', detail: 'permissions is "0888"' },
        { code: 'attribute-unreadable', detail: 'modtime is "now"' },
      ],
    },
  ],
];

const lemur: Row[] = [
  ['the earliest', { Uid: '7', Gid: '8', Perm: '755', ModTime: TIME }, {}, at(7, 8, 0o755, MTIME, 'lemur')],
  ['later', { Owner: '7', Group: '8', Permissions: '644', ModTime: TIME }, {}, at(7, 8, 0o644, MTIME, 'amlfs')],
  ['now', { owner: '7', group: '8', permissions: '0644', modtime: TIME }, {}, at(7, 8, 0o644, MTIME, 'amlfs')],
  ['no bits for owner and group', { Permissions: '4' }, {}, at(0, 0, 0o004, LAST_MODIFIED, 'amlfs')],
  // %o of Go's FileMode: setuid is 1<<23, setgid 1<<22, sticky 1<<20, a directory 1<<31.
  ['setuid, as Go numbers it', { Perm: '40000755' }, {}, at(0, 0, 0o4755, LAST_MODIFIED, 'lemur')],
  ['setgid', { Permissions: '20000750' }, {}, at(0, 0, 0o2750, LAST_MODIFIED, 'amlfs')],
  ['sticky', { Permissions: '4000777' }, {}, at(0, 0, 0o1777, LAST_MODIFIED, 'amlfs')],
  ['a directory', { Permissions: '20000000755' }, {}, { kind: 'dir', attributes: { mode: 0o755 } }],
  ['a pipe', { Permissions: '200000644' }, {}, { kind: 'refused', reason: 'special-file' }],
  [
    'the follower’s first symlinks: no body, the target as it is',
    { ftype: 'LNK', symlink: '../a%20b' },
    {},
    { kind: 'symlink', target: Buffer.from('../a%20b') },
  ],
];

// AzCopy 10.32, common/unixStatAdapter.go
const posix = {
  posix_nlink: '1',
  posix_ino: '42',
  posix_dev: '64',
  posix_atime: '1',
  posix_ctime: '1',
  linux_statx_mask: '6143',
};
const azcopy: Row[] = [
  [
    'standard: a file',
    { ...posix, posix_owner: '1000', posix_group: '100', permissions: '33188', modtime: '1714564800123456789' },
    {},
    { kind: 'file', ...at(1000, 100, 0o644, 1_714_564_800_123_456_789n, 'azcopy'), warnings: [] },
  ],
  [
    'standard: setuid and sticky',
    { ...posix, posix_owner: '0', permissions: String(0o105755) },
    {},
    { attributes: { mode: 0o5755 } },
  ],
  [
    'standard: a decimal that reads as octal',
    { ...posix, posix_owner: '0', permissions: String(0o100755) },
    {},
    { attributes: { mode: 0o755 } },
  ],
  [
    'standard: a directory',
    { ...posix, posix_owner: '1', posix_group: '2', hdi_isfolder: 'true', permissions: '16877' },
    {},
    { kind: 'dir', attributes: { mode: 0o755, uid: 1 } },
  ],
  [
    'standard: a symlink, which says that it is a character device, too',
    { ...posix, posix_owner: '1', is_symlink: 'true', is_char_dev: 'true', permissions: '41471' },
    { length: 4n },
    { kind: 'symlink', attributes: { mode: 0o777 } },
  ],
  [
    'standard: a block device says that it is a folder',
    { ...posix, is_block_dev: 'true', is_char_dev: 'true', hdi_isfolder: 'true', permissions: String(0o060660) },
    {},
    { kind: 'refused', reason: 'special-file' },
  ],
  [
    'standard: a socket does, too',
    { ...posix, is_socket: 'true', hdi_isfolder: 'true' },
    {},
    { reason: 'special-file' },
  ],
  ['standard: a fifo', { ...posix, is_fifo: 'true' }, {}, { reason: 'special-file' }],
  ['standard: a fifo by its mode alone', { ...posix, permissions: String(0o010644) }, {}, { reason: 'special-file' }],
  ['standard: a character device', { ...posix, is_char_dev: 'true' }, {}, { reason: 'special-file' }],
  [
    'amlfs: octal, beside keys of the standard style',
    { ...posix, owner: '1000', group: '100', permissions: '0644', modtime: TIME },
    {},
    { kind: 'file', ...at(1000, 100, 0o644, MTIME, 'amlfs'), warnings: [] },
  ],
  [
    'amlfs: a directory',
    { ...posix, owner: '1', group: '2', permissions: '0755', hdi_isfolder: 'true', modtime: TIME },
    {},
    { kind: 'dir', ...at(1, 2, 0o755, MTIME, 'amlfs') },
  ],
  ['no properties kept: a symlink', { is_symlink: 'true' }, { length: 4n }, { kind: 'symlink' }],
];

const fsxKeys = (form: (name: string) => string, values: Record<string, string>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [form(name), value]));
const FSX = { permissions: '0100640', owner: '1000', group: '100', atime: '1ns', mtime: '1714564800123456789ns' };
const fsxFile = { kind: 'file', ...at(1000, 100, 0o640, 1_714_564_800_123_456_789n, 'fsx'), warnings: [] };
const fsx: Row[] = [
  ['a file', fsxKeys((name) => `file-${name}`, FSX), {}, fsxFile],
  ['with underscores', fsxKeys((name) => `file_${name}`, FSX), {}, fsxFile],
  [
    'renamed by AzCopy, as Azure takes no hyphens',
    {
      ...fsxKeys((name) => `rename_file_${name}`, FSX),
      ...fsxKeys((name) => `rename_key_file_${name}`, { permissions: 'file-permissions' }),
    },
    {},
    fsxFile,
  ],
  ['milliseconds', { 'file-mtime': '1714564800123' }, {}, { attributes: { mtime: 1_714_564_800_123_000_000n } }],
  [
    'a directory: its name ends in a slash',
    { 'file-permissions': '0040750', 'file-owner': '3' },
    { name: 'a/b/' },
    { kind: 'dir', path: Buffer.from('a/b'), explicit: true, attributes: { mode: 0o750, uid: 3 } },
  ],
  ['a symlink, by its type bits', { file_permissions: '0120777' }, { length: 2n }, { kind: 'symlink' }],
];

const hadoop: Row[] = [
  ['a bare marker', {}, { name: 'a/b/' }, { kind: 'dir', path: Buffer.from('a/b'), explicit: false, warnings: [] }],
  [
    'a marker with a body',
    {},
    { name: 'a/', length: 3n },
    { kind: 'dir', warnings: [{ code: 'content-ignored', detail: 'its blob has 3 bytes' }] },
  ],
  [
    'wasb: names mean nothing here, letters do',
    { hdi_isfolder: 'true', hdi_permission: '{"owner":"alice","group":"supergroup","permissions":"rwxr-x---"}' },
    {},
    { kind: 'dir', ...at(0, 0, 0o750, LAST_MODIFIED, 'hadoop'), warnings: [] },
  ],
  [
    'asv, as it was called',
    { asv_isfolder: 'true', asv_permission: '{"permissions":"rwxrwxrwx"}' },
    {},
    { kind: 'dir' },
  ],
  [
    'a file that is still being written',
    { hdi_tmpupload: '_$azuretmpfolder$/x' },
    {},
    { kind: 'refused', reason: 'upload-unfinished' },
  ],
];

const none: Row[] = [
  ['a file', {}, { length: 5n }, { kind: 'file', ...at(0, 0, 0o644, LAST_MODIFIED, 'none'), ...etag, warnings: [] }],
  ['keys of others', { team: 'blue' }, {}, { kind: 'file', warnings: [] }],
  ['a page blob', {}, { blobType: 'PageBlob', length: 512n }, { kind: 'file', warnings: [{ code: 'not-block-blob' }] }],
  ['an append blob', {}, { blobType: 'AppendBlob' }, { kind: 'file', warnings: [{ code: 'not-block-blob' }] }],
  ['in the Archive tier', {}, { accessTier: 'Archive' }, { kind: 'file', warnings: [{ code: 'archive-tier' }] }],
  ['leased', {}, { leaseState: 'leased' }, { kind: 'file', warnings: [{ code: 'leased' }] }],
  ['being copied', {}, { copyStatus: 'pending' }, { kind: 'refused', reason: 'copy-pending' }],
  ['half copied', {}, { copyStatus: 'aborted' }, { kind: 'refused', reason: 'copy-failed' }],
  ['copied', {}, { copyStatus: 'success' }, { kind: 'file' }],
  ['encrypted by its writer', { EncryptionData: '{}' }, {}, { kind: 'refused', reason: 'client-encrypted' }],
  ['encrypted with a key of its writer', {}, { customerKey: 'x' }, { kind: 'refused', reason: 'customer-key' }],
];

describe.each([
  ['Azure Managed Lustre', amlfs],
  ['lemur and its follower', lemur],
  ['AzCopy', azcopy],
  ['FSx for Lustre', fsx],
  ['Hadoop', hadoop],
  ['nobody in particular', none],
])('%s', (_, rows) => {
  test.each(rows)('%s', (_what, metadata, blob, expected) => {
    expect(read(metadata, blob)).toMatchObject(expected);
  });
});

test('a body counts more than what somebody else says is the target', () => {
  expect(read({ ftype: 'LNK', symlink: 'b' }, { length: 1n })).not.toHaveProperty('target');
});
