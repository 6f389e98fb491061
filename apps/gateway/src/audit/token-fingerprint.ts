import { randomBytes } from 'node:crypto';
import type { CacheRedisConfig } from '../config/types.ts';
import { createHmacSha256 } from '../sealing/hmac.ts';
import { createSealingKey } from '../sealing/sealing-key.ts';

/** Letters of base64url, so 132 bits. Two tokens with the same one are not to be expected, and it stays short. */
const length = 22;

/** Another one in each process, so that without a shared secret no token can be looked up by anybody, ever. */
const ownKey = randomBytes(32);

/**
 * What stands for a token in the trail: the same for the same token under the same key, and of no use without the key,
 * however weak the token is.
 *
 * @param secret a sealing key, so that all replicas and restarts agree; left out: this process by itself
 */
export function createTokenFingerprint(secret?: Uint8Array): (token: string) => string {
  const key = secret === undefined ? ownKey : createSealingKey(secret).derive('audit token fingerprints');
  const mac = createHmacSha256(key);
  return (token) => mac(token).slice(0, length);
}

/** The key in use: that which seals. */
export function fingerprintSecret(redis: CacheRedisConfig | undefined): Uint8Array | undefined {
  return redis?.sealingKeys[0];
}
