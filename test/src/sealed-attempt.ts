import { secret } from '@sallyport/test-servers/tokens';
import type { LoginPlace } from './testing/login-gateway.ts';
import { sealAs } from './testing/seal.ts';

/** Seals an attempt with the key of the config. @returns its path */
export function sealedAttempt(
  { replicas }: LoginPlace,
  { id, until }: { readonly id: string; readonly until: number },
): string {
  const plain = [id, until, 'a'.repeat(43), '127.0.0.1', null, 'prod', null, null];
  const key = replicas.operator.env.SALLYPORT_CACHE_KEY ?? '';
  const sealed = sealAs(key, { purpose: 'login attempts', name: '' }, JSON.stringify(plain));
  return `/login/${secret(sealed.toString('base64url'))}`;
}
