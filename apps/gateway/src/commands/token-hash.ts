import { createHash, randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { readToken } from './input.ts';
import { type OutputFormat, printJson, printRemark } from './output.ts';
import { timeText } from './times.ts';

export interface TokenHashOptions {
  readonly user: string;
  readonly uid?: string;
  readonly group?: readonly string[];
  readonly audience?: readonly string[];
  /** Milliseconds; Infinity or left out: without an end. */
  readonly ttl?: number;
  readonly generate?: boolean;
  readonly output: OutputFormat;
}

/** Whoever reads a digest can try guesses against it: 128 random bits are 22 characters of base64. */
const minimumLength = 22;

/** Prints an entry of a static tokens file. */
export async function tokenHash(options: TokenHashOptions): Promise<ExitCode> {
  const { user, uid, group, audience, ttl = Number.POSITIVE_INFINITY } = options;
  const token = options.generate ? randomBytes(32).toString('base64url') : checkToken(await readToken());
  const fields = {
    username: user,
    ...(uid !== undefined && { uid }),
    ...(group && { groups: group }),
    ...(audience && { audiences: audience }),
  };
  const entry = entryOf(token, fields, ttl === Number.POSITIVE_INFINITY ? undefined : new Date(Date.now() + ttl));
  if (options.output === 'json') {
    printJson(options.generate ? { token, entry } : { entry });
    return exitCodes.success;
  }
  // The token goes to standard error, so that `>> tokens.yaml` does not store it.
  if (options.generate) process.stderr.write(`The token, shown this once: ${token}\n`);
  process.stdout.write(textOf(entry));
  return exitCodes.success;
}

type Fields = Readonly<Record<'username', string> & Partial<Record<'groups' | 'audiences', readonly string[]>>> & {
  readonly uid?: string;
};

/** Returns an entry of a static tokens file, as text. @param end when the token stops being good; left out: never */
export function staticEntry(token: string, fields: Fields, end?: Date): string {
  return textOf(entryOf(token, fields, end));
}

function entryOf(token: string, fields: Fields, end: Date | undefined) {
  const sha256 = createHash('sha256').update(token).digest('hex');
  return { sha256, ...fields, ...(end && { expiresAt: timeText(end) }) };
}

function textOf(entry: object): string {
  return `${stringify([entry]).trimEnd().replace(/^/gm, '  ')}\n`;
}

function checkToken(token: string): string {
  if (!token.isWellFormed() || token.includes('\uFFFD')) throw new Error('the token is not valid UTF-8');
  // kubernetes/apiserver pkg/authentication/request/bearertoken: the header is split at spaces, its second word counts.
  if (/\s/.test(token)) throw new Error('the token has a space or a line end in it: kube-apiserver would cut it there');
  if (token.length < minimumLength) {
    printRemark(
      `this token has ${token.length} characters; one that can be guessed can be found from its digest. ` +
        'Use --generate for a random one.',
    );
  }
  return token;
}
