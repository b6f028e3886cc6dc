import type { HttpHeaders, RawHttpHeaders } from '@azure/core-rest-pipeline';

/** Header fields of a request or an answer, as plain as they can be and still fit the SDK's pipeline. Keys are lower case. */
export class PlainHeaders implements HttpHeaders {
  readonly fields: RawHttpHeaders;

  /** @param fields with names in lower case; not copied */
  constructor(fields: RawHttpHeaders) {
    this.fields = fields;
  }

  get(name: string): string | undefined {
    return this.fields[name.toLowerCase()];
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, value: string | number | boolean): void {
    this.fields[name.toLowerCase()] = String(value);
  }

  delete(name: string): void {
    delete this.fields[name.toLowerCase()];
  }

  toJSON(): RawHttpHeaders {
    return this.fields;
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return Object.entries(this.fields)[Symbol.iterator]();
  }
}
