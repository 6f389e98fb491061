import { randomBytes } from 'node:crypto';

/** One that nobody guesses, of letters, digits, - and _. */
export function newPassword(): string {
  return randomBytes(18).toString('base64url');
}
