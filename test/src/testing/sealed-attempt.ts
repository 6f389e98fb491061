import { createCipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { LoginPlace } from './login-gateway.ts';
import { secret } from './tokens.ts';

/**
 * Seals an attempt as a gateway does, with the key of its config, to see what becomes of attempts that no gateway would
 * make now. @returns its path
 */
export function sealedAttempt(
  { replicas }: LoginPlace,
  { id, until }: { readonly id: string; readonly until: number },
): string {
  const key = Buffer.from(replicas.operator.env.SALLYPORT_CACHE_KEY ?? '', 'base64');
  const salt = 'sallyport cache v1sallyport:';
  const derived = Buffer.from(hkdfSync('sha256', key, salt, 'login attempts', 32));
  const nonce = randomBytes(12);
  const cipher = createCipheriv(
    'aes-256-gcm',
    createHmac('sha256', derived).update('').digest(),
    nonce,
  );
  cipher.setAAD(Buffer.of(1));
  const plain = [id, until, 'a'.repeat(43), '127.0.0.1', null, 'prod', null, null];
  const text = Buffer.concat([cipher.update(JSON.stringify(plain)), cipher.final()]);
  const sealed = Buffer.concat([Buffer.of(1), nonce, text, cipher.getAuthTag()]);
  return `/login/${secret(sealed.toString('base64url'))}`;
}
