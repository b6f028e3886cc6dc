/** Headers of one request, by lower-case name. Iterates as pairs of name and value. */
export class HeaderMap extends Map<string, string> {
  override get(name: string): string | undefined {
    return super.get(name.toLowerCase());
  }

  override set(name: string, value: string | number): this {
    return super.set(name.toLowerCase(), String(value));
  }
}
