import { createHmac, randomBytes } from 'node:crypto';

/**
 * Makes digests under a random key of this process: names and secrets are compared and never kept, and a dump of the
 * memory does not let anybody try passwords against them elsewhere.
 *
 * @returns equal only for equal lists of parts: JSON keeps ['a', 'bc'] and ['ab', 'c'] apart
 */
export function createFingerprint(): (...parts: string[]) => string {
  const key = randomBytes(32);
  return (...parts) => createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url');
}
