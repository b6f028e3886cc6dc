const UNFIT_TARGET = /[^\x21-\x7e]/;
const UNFIT_NAME = /[^!#$%&'*+.^_`|~0-9A-Za-z-]/;
const UNFIT_VALUE = /[^\t\x20-\x7e\xa0-\xff]/;

/**
 * Request line and fields, with the empty line after them.
 * @param target path and query
 * @throws TypeError for what would end a line, or could be read as another field
 */
export function requestHead(
  method: string,
  target: string,
  host: string,
  fields: Readonly<Record<string, string>>,
): string {
  if (UNFIT_TARGET.test(target)) throw new TypeError('a request target with characters that do not belong there');
  let head = `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (const name in fields) {
    const value = fields[name] as string;
    if (UNFIT_NAME.test(name) || UNFIT_VALUE.test(value)) throw new TypeError(`the field ${name} can't be sent`);
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}
