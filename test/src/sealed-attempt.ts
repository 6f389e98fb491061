import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { secret } from '@sallyport/test-servers/tokens';
import type { LoginPlace } from './testing/login-gateway.ts';
import { deriveKey } from './testing/seal.ts';

/** Seals an attempt for the cluster prod with the key of the config. @param until in milliseconds @returns its path */
export function sealedAttempt({ replicas }: LoginPlace, until: number): string {
  const time = Buffer.alloc(4);
  time.writeUInt32BE(Math.floor(until / 1_000));
  const cluster = createHash('sha256').update('prod').digest().subarray(0, 4);
  const address = Buffer.of(127, 0, 0, 1, 0, 0, 0, 0);
  const [kind, port] = [Buffer.of(1), Buffer.of(0, 0)];
  const plain = Buffer.concat([kind, time, port, cluster, address, randomBytes(16)]);
  const key = replicas.operator.env.SALLYPORT_CACHE_KEY ?? '';
  const derive = (part: string) => deriveKey(key, { purpose: `short login attempts: ${part}` });
  const tag = createHmac('sha256', derive('digest')).update(plain).digest().subarray(0, 12);
  const cipher = createCipheriv(
    'aes-256-ctr',
    derive('text'),
    Buffer.concat([tag, Buffer.alloc(4)]),
  );
  const sealed = Buffer.concat([tag, cipher.update(plain)]);
  return `/login/${secret(sealed.toString('base64url'))}`;
}
