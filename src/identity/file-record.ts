import { type Fid, parseFid } from './fid.ts';
import { formatGeneration, type Generation, parseGeneration } from './generation.ts';

/** The extended attribute on a file that says which copy in the container is its own. */
export const RECORD_XATTR = 'trusted.lfsazsync';
/** A hint where the copy is (a blob name), written by whoever moved it; always verified, never trusted. */
export const LOCATION_XATTR = 'trusted.lfsazsync_at';
/** The file system's UUID, on its root directory. */
export const FILE_SYSTEM_XATTR = 'trusted.lfsazsync_fs';

const VERSION = 1;
const DIRECTORY = 'directory' as const;
/** Lustre takes 64 KiB and more; a record of ours has a kilobyte and a half at most. Longer is not ours. */
const MAX_LENGTH = 16_384;

/** What an archive wrote onto the file: the copy that holds its content. */
export interface CopyRecord {
  /** The FID of the file that the record was written for: `cp -a` carries the attribute to other files. */
  readonly fid: Fid;
  readonly generation: Generation;
  /** Bytes. */
  readonly size: bigint;
  /** CRC-64/NVME of the content, 16 hex digits. */
  readonly crc64: string;
  /** The data version that was archived: whether a file is still what its copy is can be told without reading it. */
  readonly dataVersion?: bigint;
  /** The blob's name at that time: a hint that helps after a rename, always verified. */
  readonly at?: string;
}

/** The exact blob that an import bound a file to: one of our format from another file system, or anything else. */
export type Binding =
  | { readonly fs: string; readonly fid: Fid; readonly generation: Generation }
  | { readonly etag: string };

/** Owner, group, mode (12 bits) and mtime (whole seconds) that an import gave a file. */
export interface ImportedAttributes {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly mtime: number;
}

/** What an import wrote onto a file whose copy it did not make. */
export interface BindingRecord {
  readonly fid: Fid;
  readonly size: bigint;
  readonly bind: Binding;
  readonly at?: string;
  /** The blob's name that the file's path had at the import, if that is not where its blob is: it stays there until the file is renamed. */
  readonly named?: string;
  /** As long as the file has these, there is nothing to say to the container, whatever the blob says of itself. */
  readonly given?: ImportedAttributes;
  /** The layout that the file was made with means nothing: a restore gives it its directory's. */
  readonly layout?: 'directory';
}

export type FileRecord = CopyRecord | BindingRecord;

/** Whether the record binds an imported file to a blob that somebody else wrote. */
export function isBinding(record: FileRecord): record is BindingRecord {
  return 'bind' in record;
}

/** Whether the layout that the file has means nothing, and a restore is to give it its directory's. */
export function takesDirectoryLayout(record: FileRecord | undefined): boolean {
  return record !== undefined && isBinding(record) && record.layout !== undefined;
}

/**
 * Reads the value of `trusted.lfsazsync`.
 * @returns undefined when it is not one of ours, or of a later version: the file is then treated as one without a record
 */
export function parseFileRecord(value: Buffer): FileRecord | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
  if (!isObject(json) || json['v'] !== VERSION) return undefined;
  const fid = fidField(json['fid']);
  const size = unsigned(json['size']);
  if (fid === undefined || size === undefined) return undefined;
  const at = typeof json['at'] === 'string' && json['at'] !== '' ? { at: json['at'] } : {};
  if ('bind' in json) {
    const bind = bindingField(json['bind']);
    const given = givenField(json['given']);
    if (bind === undefined) return undefined;
    const named = typeof json['named'] === 'string' && json['named'] !== '' ? { named: json['named'] } : {};
    const layout = json['layout'] === DIRECTORY ? ({ layout: DIRECTORY } as const) : {};
    return { fid, size, bind, ...at, ...named, ...(given === undefined ? {} : { given }), ...layout };
  }
  const generation = generationField(json['gen']);
  const crc64 = json['crc64'];
  if (generation === undefined || typeof crc64 !== 'string' || !/^[0-9a-f]{16}$/.test(crc64)) return undefined;
  const dataVersion = unsigned(json['dv']);
  return { fid, generation, size, crc64, ...(dataVersion === undefined ? {} : { dataVersion }), ...at };
}

/** The value of `trusted.lfsazsync`: compact JSON, 64-bit numbers as decimal strings. */
export function formatFileRecord(record: FileRecord): Buffer {
  const at = record.at === undefined ? {} : { at: record.at };
  if (isBinding(record)) {
    const bind =
      'etag' in record.bind
        ? { etag: record.bind.etag }
        : { fs: record.bind.fs, fid: record.bind.fid, gen: formatGeneration(record.bind.generation) };
    const { given } = record;
    const named = record.named === undefined ? {} : { named: record.named };
    const attributes = given === undefined ? {} : { given: [given.uid, given.gid, given.mode, given.mtime] };
    const layout = record.layout === undefined ? {} : { layout: record.layout };
    const { fid, size } = record;
    return encode({ v: VERSION, fid, size: String(size), bind, ...at, ...named, ...attributes, ...layout });
  }
  const dv = record.dataVersion === undefined ? {} : { dv: String(record.dataVersion) };
  const { fid, generation, size, crc64 } = record;
  return encode({ v: VERSION, fid, gen: formatGeneration(generation), size: String(size), crc64, ...dv, ...at });
}

/** A record as it stands before and after the FID of its file, for whoever writes it when the file is made. */
export function bindingRecordParts(record: Omit<BindingRecord, 'fid'>): readonly [before: string, after: string] {
  const text = formatFileRecord({ ...record, fid: '' as Fid }).toString('utf8');
  return [FID_BEFORE, text.slice(FID_BEFORE.length)];
}

const FID_BEFORE = `{"v":${VERSION},"fid":"`;

/** What `lfsazsync_from` holds on a blob that we took over under a binding. */
export function formatBinding(binding: Binding): string {
  return 'etag' in binding
    ? `etag:${binding.etag}`
    : `${binding.fs}/${binding.fid}/${formatGeneration(binding.generation)}`;
}

function encode(json: object): Buffer {
  return Buffer.from(JSON.stringify(json), 'utf8');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fidField(value: unknown): Fid | undefined {
  return typeof value === 'string' ? parseFid(value) : undefined;
}

function generationField(value: unknown): Generation | undefined {
  return typeof value === 'string' ? parseGeneration(value) : undefined;
}

function unsigned(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

function givenField(value: unknown): ImportedAttributes | undefined {
  if (!Array.isArray(value) || value.length !== 4 || !value.every((one) => Number.isSafeInteger(one))) return undefined;
  const [uid, gid, mode, mtime] = value as [number, number, number, number];
  return { uid, gid, mode, mtime };
}

function bindingField(value: unknown): Binding | undefined {
  if (!isObject(value)) return undefined;
  if (typeof value['etag'] === 'string' && value['etag'] !== '') return { etag: value['etag'] };
  const fid = fidField(value['fid']);
  const generation = generationField(value['gen']);
  if (typeof value['fs'] !== 'string' || fid === undefined || generation === undefined) return undefined;
  return { fs: value['fs'], fid, generation };
}
