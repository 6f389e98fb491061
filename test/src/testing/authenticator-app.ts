import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Returns the code that an authenticator app shows: Debian's oathtool.
 *
 * @param secret in base32, as people type it
 * @param seconds how far the clock of the app is ahead
 */
export async function appCode(secret: string, seconds = 0): Promise<string> {
  const at = new Date(Date.now() + seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
  const words = ['--totp', '--base32', secret, '--now', `${at} UTC`];
  const { stdout } = await promisify(execFile)('oathtool', words);
  return stdout.trim();
}
