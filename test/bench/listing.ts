/** A container of any size that nobody has to store: listings of it, made as they are asked for. */
export class GeneratedListing {
  readonly #directories: number;
  readonly #each: number;

  constructor(blobs: number, each = 1000) {
    this.#directories = Math.ceil(blobs / each);
    this.#each = Math.min(each, blobs);
  }

  get blobs(): number {
    return this.#directories * this.#each;
  }

  /** The answer to List Blobs. @param query of its URL */
  answer(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const start = query.get('startFrom');
    const from = Number(query.get('marker') ?? (start === null ? 0 : this.#firstFrom(prefix, start)));
    const most = Number(query.get('maxresults') ?? 5000);
    const { items, total } = prefix === '' ? this.#top(from, most) : this.#in(prefix, from, most);
    const next = from + most < total ? String(from + most) : '';
    return `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="c"><Prefix>${prefix}</Prefix><Marker>${from === 0 ? '' : from}</Marker><MaxResults>${most}</MaxResults><Blobs>${items}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
  }

  /** The first that is not before this name. */
  #firstFrom(prefix: string, start: string): number {
    let [low, high] = [0, prefix === '' ? this.#directories : this.#each];
    while (low < high) {
      const middle = (low + high) >> 1;
      const name = prefix === '' ? `${directory(middle)}/` : `${prefix}${file(middle)}`;
      if (name < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #top(from: number, most: number) {
    let items = '';
    for (let d = from; d < Math.min(this.#directories, from + most); d++)
      items += `<BlobPrefix><Name>${directory(d)}/</Name></BlobPrefix>`;
    return { items, total: this.#directories };
  }

  #in(prefix: string, from: number, most: number) {
    let items = '';
    for (let i = from; i < Math.min(this.#each, from + most); i++) {
      items += `<Blob><Name>${prefix}${file(i)}</Name><Properties><Creation-Time>Thu, 01 Jan 2026 00:00:00 GMT</Creation-Time><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x8DE${String(i).padStart(12, '0')}</Etag><Content-Length>4096</Content-Length><Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties><Metadata><owner>1000</owner><group>1000</group><permissions>0640</permissions><modtime>2017-07-14 02:40:00 +0000</modtime></Metadata></Blob>`;
    }
    return { items, total: this.#each };
  }
}

const directory = (d: number): string => `d${String(d).padStart(6, '0')}`;
const file = (i: number): string => `f${String(i).padStart(7, '0')}`;
