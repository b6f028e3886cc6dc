import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { holdsSecret, redact } from './redact.ts';
import { Secret } from './secret.ts';

const secretText = fc.stringMatching(/^[A-Za-z0-9+/]{20,44}={0,2}$/);

describe('redact', () => {
  it.each([
    [
      'a URL with a SAS',
      (s: string) => `https://a.blob.core.windows.net/c?sv=2024&sp=rw&sig=${encodeURIComponent(s)}&se=2027`,
    ],
    ['a SAS as JSON', (s: string) => JSON.stringify({ url: `https://a/c?sig=${s}` })],
    [
      'a SAS as others write JSON',
      (s: string) => String.raw`{"url":"https://a/c?sv=2024\u0026sig=${encodeURIComponent(s)}\u0026se=2027"}`,
    ],
    ['an encoded SAS', (s: string) => `https%3A%2F%2Fa%2Fc%3Fsig%3D${encodeURIComponent(s)}`],
    [
      'a connection string',
      (s: string) => `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${s};EndpointSuffix=x`,
    ],
    ['a shared key header', (s: string) => `{"authorization":"SharedKey account:${s}"}`],
    ['a bearer token', (s: string) => `Authorization: Bearer ${s}`],
    ['a token response', (s: string) => `{"access_token":"${s}","expires_in":3599}`],
    ['a form', (s: string) => `grant_type=client_credentials&client_secret=${encodeURIComponent(s)}&scope=x`],
  ])('removes the secret of %s', (_, form) => {
    fc.assert(
      fc.property(secretText, (secret) => {
        const text = form(secret);
        expect(holdsSecret(text)).toBe(true);
        const shown = redact(text);
        expect(shown).not.toContain(secret);
        expect(shown).not.toContain(encodeURIComponent(secret));
        expect(redact(shown)).toBe(shown);
      }),
    );
  });

  it('leaves the rest readable, and JSON valid', () => {
    expect(redact('https://a/c?sig=abc%2Fd&se=2027-01-01')).toBe('https://a/c?sig=[redacted]&se=2027-01-01');
    expect(JSON.parse(redact('{"url":"https://a/c?sig=abc","n":1}'))).toEqual({
      url: 'https://a/c?sig=[redacted]',
      n: 1,
    });
    const plain = 'archived /mnt/lustre/design/signal=5 [0x200000401:0x1:0x0]';
    expect(redact(plain)).toBe(plain);
    expect(holdsSecret(plain)).toBe(false);
  });
});

describe('Secret', () => {
  it('shows itself only when asked', () => {
    const secret = new Secret('hunter2');
    expect(secret.reveal()).toBe('hunter2');
    for (const shown of [
      `${secret}`,
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }, { showHidden: true }),
      `${[secret]}`,
    ]) {
      expect(shown).toContain('redacted');
      expect(shown).not.toContain('hunter2');
    }
  });
});
