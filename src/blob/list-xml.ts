import type { KeptEntry, KeptPage, ListPage } from './list-types.ts';
import { type BlobState, blobState } from './state.ts';

/**
 * The answer to List Blobs, read without a general XML parser: the SDK's needs twenty times the CPU, and hundreds of
 * megabytes for a few pages at once. What it relies on is what XML says: a `<` in a text is always escaped.
 * https://learn.microsoft.com/rest/api/storageservices/list-blobs
 */

/** @throws SyntaxError for what is not a whole listing */
export function parseListing(xml: string): ListPage {
  mustBeWhole(xml);
  const blobs = [...elements(xml, 'Blob')].map(blobOf);
  const directories = [...elements(xml, 'BlobPrefix')].map(nameOf);
  return { blobs, directories, ...nextOf(xml) };
}

/** The same of a listing that includes what is deleted, snapshots and versions. @throws SyntaxError as above */
export function parseKeptListing(xml: string): KeptPage {
  mustBeWhole(xml);
  return { entries: [...elements(xml, 'Blob')].map(keptOf), ...nextOf(xml) };
}

function mustBeWhole(xml: string): void {
  if (!/^\uFEFF?\s*(?:<\?xml[^>]*\?>)?\s*<EnumerationResults[\s>]/.test(xml.slice(0, 1000)))
    throw malformed('its beginning');
  if (!/<\/EnumerationResults>\s*$/.test(xml.slice(-100))) throw malformed('its end');
}

function nextOf(xml: string): { next?: string } {
  const next = decoded(/<NextMarker>([^<]*)<\/NextMarker>/.exec(xml.slice(xml.lastIndexOf('</Blobs>') + 1))?.[1] ?? '');
  return next === '' ? {} : { next: own(next) };
}

function* elements(xml: string, name: string): Generator<string> {
  const [open, close] = [`<${name}>`, `</${name}>`];
  for (let at = xml.indexOf(open); at !== -1; ) {
    const end = xml.indexOf(close, at);
    if (end === -1) throw malformed(`a ${name} without an end`);
    yield xml.slice(at + open.length, end);
    at = xml.indexOf(open, end);
  }
}

function blobOf(xml: string): BlobState {
  const fields = fieldsOf(part(xml, 'Properties') ?? '');
  const etag = fields['Etag'] ?? '';
  const length = fields['Content-Length'] ?? '';
  if (etag === '' || !/^\d+$/.test(length)) throw malformed('a blob without its properties');
  return blobState({
    name: nameOf(xml),
    // A listing gives ETags without the quotes that a condition needs.
    etag: own(etag.startsWith('"') ? etag : `"${etag}"`),
    length: BigInt(length),
    metadata: fieldsOf(part(xml, 'Metadata') ?? ''),
    lastModified: new Date(fields['Last-Modified'] ?? 0),
    blobType: fields['BlobType'] ?? 'BlockBlob',
    copyStatus: fields['CopyStatus'],
    accessTier: fields['AccessTier'],
    tierInferred: fields['AccessTierInferred'] === 'true',
    archiveStatus: fields['ArchiveStatus'],
    leaseState: fields['LeaseState'],
    customerKey: fields['CustomerProvidedKeySha256'],
  });
}

const WITH_PARTS = /<(Properties|Metadata|OrMetadata|Tags)>.*?<\/\1>/gs;

function keptOf(xml: string): KeptEntry {
  const fields = fieldsOf(xml.replace(WITH_PARTS, ''));
  const properties = fieldsOf(part(xml, 'Properties') ?? '');
  const { Snapshot: snapshot, VersionId: version } = fields;
  const deletedAt = Date.parse(properties['DeletedTime'] ?? '');
  const daysLeft = properties['RemainingRetentionDays'];
  return {
    state: blobOf(xml),
    deleted: fields['Deleted'] === 'true',
    current: fields['IsCurrentVersion'] === 'true',
    ...(snapshot === undefined || snapshot === '' ? {} : { snapshot: own(snapshot) }),
    ...(version === undefined || version === '' ? {} : { version: own(version) }),
    ...(Number.isNaN(deletedAt) ? {} : { deletedAt: new Date(deletedAt) }),
    ...(daysLeft === undefined || !/^\d+$/.test(daysLeft) ? {} : { daysLeft: Number(daysLeft) }),
  };
}

/** A name with characters that XML can't hold comes percent-encoded. */
function nameOf(xml: string): string {
  const found = /<Name(?:\s+Encoded="(true|false)")?\s*>([^<]*)<\/Name>/.exec(xml);
  if (found === null) throw malformed('an entry without a name');
  const name = decoded(found[2] as string);
  return own(found[1] === 'true' ? decodeURIComponent(name) : name);
}

function part(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`);
  const end = start === -1 ? -1 : xml.indexOf(`</${name}>`, start);
  return end === -1 ? undefined : xml.slice(start + name.length + 2, end);
}

const ELEMENT = /<([A-Za-z0-9_.-]+)>([^<]*)<\/\1>/g;

function fieldsOf(xml: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [, name, text] of xml.matchAll(ELEMENT)) fields[name as string] = decoded(text as string);
  return fields;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#x([0-9a-fA-F]+)|#(\d+)|([a-z]+));/g,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? whole;
      return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
    },
  );
}

/** A text of its own: a piece of a large one keeps all of that in memory as long as it lives. */
const own = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

function malformed(what: string): SyntaxError {
  return new SyntaxError(`the listing can't be read: ${what} is not as it should be`);
}
