import { createHmac, randomBytes } from 'node:crypto';

/**
 * Makes digests under a key, by default a random one of this process: names and secrets are compared and never kept,
 * and a dump of the memory does not let anybody try passwords against them elsewhere.
 *
 * @returns equal only for equal lists of parts: JSON keeps ['a', 'bc'] and ['ab', 'c'] apart
 */
export function createFingerprint(key: Uint8Array = randomBytes(32)): (...parts: string[]) => string {
  return (...parts) => createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url');
}
