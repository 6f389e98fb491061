import { randomBytes } from 'node:crypto';
import { createHmacSha256 } from '../sealing/hmac.ts';
import { createSealingKey } from '../sealing/seal.ts';

/** 22 letters of base64url are 132 bits: short, and two tokens with the same fingerprint are not to be expected. */
const length = 22;

/** Random in each process, so that without a sealing key no one can ever find out a token. */
const ownKey = randomBytes(32);

/**
 * Makes the fingerprint of a token in the trail. It is the same for the same token and key. Without the key it does not
 * help to find out the token, however weak the token is.
 *
 * @param secret the sealing key in use, which all replicas have; left out: a key of this process alone
 */
export function createTokenFingerprint(secret?: Uint8Array): (token: string) => string {
  const key = secret === undefined ? ownKey : createSealingKey(secret).derive('audit token fingerprints');
  const mac = createHmacSha256(key);
  return (token) => mac(token).slice(0, length);
}
