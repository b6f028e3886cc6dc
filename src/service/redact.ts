/** The forms in which Azure's secrets travel. The value is the last group; what stands before it stays readable. */
const SECRET_FORMS: readonly RegExp[] = [
  // The signature of a shared access signature, plain, percent-encoded as a whole, or after an & as some write it in JSON.
  /((?:^|[^a-z0-9]|%[0-9a-f]{2}|\\u[0-9a-f]{4})sig(?:=|%(?:25)?3d|\\u003d))(?!\[redacted)([^&\s"'\\;,<>)\]}]+)/gi,
  /(\bAccountKey\s*=\s*)(?!\[redacted)([^;\s"'\\]+)/gi,
  /(\bSharedAccessSignature\s*=\s*)(?!\[redacted)([^;\s"'\\]+)/gi,
  /(\bBearer\s+)([A-Za-z0-9._~+/=-]+)/gi,
  /(\bSharedKey(?:Lite)?\s+[^:\s"]+:)([A-Za-z0-9+/=]+)/gi,
  // A bare JSON web token.
  /(\b)(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)/g,
  /((?:client_secret|access_token|refresh_token|client_assertion)(?:"\s*:\s*"|=))(?!\[redacted)([^&\s"'\\]+)/gi,
];

/** The text with every secret in it replaced; anything else is left as it is. */
export function redact(text: string): string {
  let result = text;
  for (const form of SECRET_FORMS) result = result.replace(form, '$1[redacted]');
  return result;
}

/** Whether the text holds something that `redact` would remove. */
export function holdsSecret(text: string): boolean {
  return redact(text) !== text;
}
