import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseListing } from './list-xml.ts';

const encoded = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#x${character.charCodeAt(0).toString(16)};`);

const page = (blobs: string, next = '<NextMarker />'): string =>
  `\uFEFF<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://x/" ContainerName="c"><Prefix>&lt;Blob&gt;</Prefix><Blobs>${blobs}</Blobs>${next}</EnumerationResults>`;

const properties =
  '<Properties><Last-Modified>Wed, 09 Sep 2009 09:20:02 GMT</Last-Modified><Etag>0x8CBFF45D8A29A19</Etag><Content-Length>12345678901</Content-Length><Content-MD5 /><BlobType>PageBlob</BlobType><AccessTier>Archive</AccessTier><ArchiveStatus>rehydrate-pending-to-hot</ArchiveStatus><LeaseState>leased</LeaseState><CopyStatus>success</CopyStatus></Properties>';

test('a page as the service documents it', () => {
  const { blobs, directories, next } = parseListing(
    page(
      `<Blob><Name>a &amp; b</Name>${properties}<Metadata><Color>blue</Color><some_key>x=&quot;1&quot;</some_key></Metadata><OrMetadata /></Blob>` +
        '<BlobPrefix><Name>d/</Name></BlobPrefix>' +
        `<Blob><Name Encoded="true">a%01%EF%BF%BF</Name>${properties}<Metadata /></Blob>`,
      '<NextMarker>2!92!MDAw</NextMarker>',
    ),
  );
  expect(blobs).toMatchObject([
    {
      ...{ name: 'a & b', etag: '"0x8CBFF45D8A29A19"', length: 12_345_678_901n, blobType: 'PageBlob' },
      ...{
        accessTier: 'Archive',
        archiveStatus: 'rehydrate-pending-to-hot',
        leaseState: 'leased',
        copyStatus: 'success',
      },
      metadata: { Color: 'blue', some_key: 'x="1"' },
      lastModified: new Date('2009-09-09T09:20:02Z'),
    },
    { name: 'a\u0001\uFFFF', metadata: {} },
  ]);
  expect(directories).toEqual(['d/']);
  expect(next).toBe('2!92!MDAw');
});

test('the last page, an empty one', () => {
  expect(parseListing(page(''))).toEqual({ blobs: [], directories: [] });
  expect(
    parseListing('<EnumerationResults ContainerName="c"><Blobs /><NextMarker></NextMarker></EnumerationResults>\n'),
  ).toEqual({
    ...{ blobs: [], directories: [] },
  });
});

test('any name and any value comes back', () => {
  const texts = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text));
  fc.assert(
    fc.property(fc.array(fc.tuple(texts, texts), { maxLength: 5 }), (all) => {
      const xml = all.map(
        ([name, value]) =>
          `<Blob><Name>${encoded(name)}</Name>${properties}<Metadata><k>${encoded(value)}</k></Metadata></Blob>`,
      );
      const { blobs } = parseListing(page(xml.join('')));
      expect(blobs.map(({ name, metadata }) => [name, metadata['k']])).toEqual(all);
    }),
  );
});

test('what is cut off, or is something else, is no listing', () => {
  const whole = page(`<Blob><Name>a</Name>${properties}</Blob>`);
  for (const bad of [
    '',
    '<html></html>',
    whole.slice(0, -3),
    whole.replace('</Blob>', ''),
    whole.replace(properties, ''),
  ])
    expect(() => parseListing(bad)).toThrow(/the listing can't be read/);
});
