import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Returns the code that an authenticator app shows.
 *
 * @param secret in base32, as people type it
 * @param seconds how far the clock of the app is ahead
 */
export function appCode(secret: string, seconds = 0): Promise<string> {
  const at = Math.floor(Date.now() / 1000 + seconds);
  return runOathtool(secret, ['--base32', `--now=@${at}`]);
}

/**
 * Runs Debian's oathtool.
 *
 * @param secret goes over standard input, since an error has the whole command
 * @param words what else it is to know
 */
export async function runOathtool(secret: string, words: readonly string[]): Promise<string> {
  const running = promisify(execFile)('oathtool', ['--totp', ...words, '-']);
  running.child.stdin?.end(secret);
  const { stdout } = await running;
  return stdout.trim();
}
