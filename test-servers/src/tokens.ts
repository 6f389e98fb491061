import { createHash, randomBytes } from 'node:crypto';

const register = new Set<string>();

/** Notes a token or password that this test file uses. No gateway of the file may ever write it anywhere. */
export function secret(value: string): string {
  register.add(value);
  return value;
}

/** Makes a token of 4/3 × `bytes` URL-safe characters. */
export function randomToken(bytes = 24): string {
  return secret(randomBytes(bytes).toString('base64url'));
}

/** Makes a token whose characters each encoding writes differently: quotes, `<&>`, `+/=`, a space, an emoji. */
export function awkwardToken(): string {
  const half = (): string => randomBytes(12).toString('base64url');
  return secret(`${half()}"\\<&>+/= é🔑%${half()}`);
}

/** Every token and password of this test file so far. */
export function secretsInUse(): readonly string[] {
  return [...register];
}

/** Begins the next test file: a code of six digits of the file before can be any number in its output. */
export function forgetSecrets(): void {
  register.clear();
}

/** Computes the digest that a tokens file has instead of the token. */
export function sha256(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
