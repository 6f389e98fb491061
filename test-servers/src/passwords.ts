import { randomBytes } from 'node:crypto';

/** A random password of letters, digits, - and _. */
export function newPassword(): string {
  return randomBytes(18).toString('base64url');
}
