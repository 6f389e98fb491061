import { createHash, randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileClockLag } from '../files/watcher.ts';

/** A temporary file that a killed start left behind is removed once it is this old, in milliseconds. */
const leftoverAge = 60_000;

/** Only the owner may read what holds a token. */
const privateMode = 0o600;

/**
 * Makes the random demo token of the shipped config once, so that no credential stands in the repository: its digest
 * in `tokens.yaml` and a request body that carries it in `token-review.json`. A start that was killed half-way is
 * mended by the next: the digest is always made anew from the body, and a body comes whole or not at all.
 *
 * @param directory made when missing, for the owner alone
 * @returns the request body's file
 */
export async function prepareDemo(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await requireOwn(directory);
  await removeLeftovers(directory);
  const bodyFile = join(directory, 'token-review.json');
  let token = await readToken(bodyFile);
  if (token === undefined) {
    const spoilt = (await readText(bodyFile)) !== undefined;
    await writeWhole(bodyFile, reviewOf(randomBytes(32).toString('base64url')), spoilt ? rename : link);
    token = await readToken(bodyFile);
  }
  if (token === undefined) throw new Error(`${bodyFile} can't be used: remove the folder ${directory} and start again`);
  const tokensFile = join(directory, 'tokens.yaml');
  const tokens = tokensOf(token);
  if ((await readText(tokensFile)) !== tokens) {
    await writeWhole(tokensFile, tokens, rename);
    // The watcher takes a younger file for one that was changed later, and would load it again after two seconds.
    await setTimeout(2 * fileClockLag);
  }
  return bodyFile;
}

/** What somebody else could have put there would let their token in. */
async function requireOwn(directory: string): Promise<void> {
  const found = await lstat(directory);
  const isOwn = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  if (isOwn || process.getuid === undefined) return;
  throw new Error(`${directory} must be a folder of this user, closed to others: remove it and start again`);
}

function reviewOf(token: string): string {
  return `${JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } })}\n`;
}

function tokensOf(token: string): string {
  const digest = createHash('sha256').update(token).digest('hex');
  return `# Made by the first start; made again when it does not fit token-review.json. For real tokens, name a file of
# your own in gateway.yaml and make its entries with the command token hash
tokens:
  - sha256: ${digest}
    username: demo
    groups: [demo]
`;
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined where there is no body that was written by {@link prepareDemo}, whole. */
async function readToken(bodyFile: string): Promise<string | undefined> {
  const text = await readText(bodyFile);
  const token = /"token":"([\w-]{43})"/.exec(text ?? '')?.[1];
  return token !== undefined && text === reviewOf(token) ? token : undefined;
}

/**
 * Writes a file so that a reader, or a kill at any moment, meets the old one or the new one, whole.
 *
 * @param place `rename` puts it over an old one; `link` lets an old one stand, so that of two first starts at once
 *   both go on with the same token
 */
async function writeWhole(file: string, text: string, place: typeof rename): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', privateMode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await place(temporary, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!/^\..+\.tmp$/.test(name)) continue;
    const file = join(directory, name);
    const age = Date.now() - (await stat(file)).mtimeMs;
    if (age > leftoverAge) await rm(file, { force: true });
  }
}
