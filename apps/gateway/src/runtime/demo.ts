import { createHash, randomBytes } from 'node:crypto';
import { lstat, mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileClockLag } from '../config/files/watcher.ts';
import { FixableError } from '../config/problems.ts';

/**
 * Makes a random demo token for the demo config, a new one at each start, so that no credential is in the repository:
 * its digest in `current/tokens.yaml`, and a request body that carries it in `current/token-review.json`. One step replaces both, so that
 * of demos that start concurrently each one loads the digest of the body that all have printed.
 *
 * @param directory created when missing, for the owner alone
 * @returns the file of the request body
 */
export async function prepareDemo(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await requirePrivate(directory);
  const token = randomBytes(32).toString('base64url');
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const name = randomBytes(8).toString('hex');
  await mkdir(join(directory, name), { mode: 0o700 });
  await writeNew(join(directory, name, 'tokens.yaml'), writeTokens(token));
  await writeNew(join(directory, name, 'token-review.json'), `${JSON.stringify(review)}\n`);
  const current = join(directory, 'current');
  const previousName = await readlink(current).catch(() => '');
  await symlink(name, `${current}.${name}`);
  await rename(`${current}.${name}`, current);
  if (/^[\da-f]{16}$/.test(previousName))
    await rm(join(directory, previousName), { recursive: true, force: true });
  // The watcher would take a younger file for one that was changed later, and load it a second time.
  await setTimeout(2 * fileClockLag);
  return join(current, 'token-review.json');
}

/** Refuses a folder that others can write to: another user could put a token of their own there, and get access. */
async function requirePrivate(directory: string): Promise<void> {
  const stats = await lstat(directory);
  const isPrivate =
    stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o077) === 0;
  if (isPrivate || process.getuid === undefined) return;
  throw new FixableError(
    `${directory} must be a folder of this user that no one else can open`,
    'remove it, and start again',
  );
}

function writeNew(file: string, text: string): Promise<void> {
  return writeFile(file, text, { mode: 0o600, flag: 'wx' });
}

function writeTokens(token: string): string {
  const digest = createHash('sha256').update(token).digest('hex');
  return `# Written again at each start, with a new token. For real tokens, name a file of your own in gateway.yaml, and make its
# entries with the command: token hash
tokens:
  - sha256: ${digest}
    username: demo
    groups: [demo]
`;
}
