import { createHash, randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { readToken } from './input.ts';
import { type OutputFormat, printJson } from './output.ts';

export interface TokenHashOptions {
  readonly username: string;
  readonly uid?: string;
  readonly group?: readonly string[];
  readonly expiresAt?: string;
  readonly generate?: boolean;
  readonly output: OutputFormat;
}

/** A digest can be tried against guesses by whoever reads it: 128 random bits are 22 characters of base64. */
const minimumLength = 22;

/** Prints an entry of a static tokens file. */
export async function tokenHash(options: TokenHashOptions): Promise<ExitCode> {
  const { username, uid, group, expiresAt, output } = options;
  if (username === '') throw new Error('--username is empty: every token belongs to somebody');
  const end = expiresAt === undefined ? undefined : new Date(expiresAt);
  if (end !== undefined && (Number.isNaN(end.getTime()) || !/T.*(Z|[+-]\d\d:\d\d)$/i.test(expiresAt ?? ''))) {
    throw new Error('--expires-at must be a time with its zone, such as 2030-01-31T12:00:00Z');
  }
  const token = options.generate ? randomBytes(32).toString('base64url') : await readToken();
  if (!token.isWellFormed() || token.includes('\uFFFD')) throw new Error('the token is not valid UTF-8');
  if (token.length < minimumLength) {
    process.stderr.write(
      `sallyport: this token has ${token.length} characters; one that can be guessed can be found from its digest. ` +
        'Use --generate for a random one.\n',
    );
  }
  const entry = {
    sha256: createHash('sha256').update(token).digest('hex'),
    username,
    ...(uid === undefined ? {} : { uid }),
    ...(group === undefined ? {} : { groups: group }),
    ...(end === undefined ? {} : { expiresAt: end.toISOString() }),
  };
  if (output === 'json') {
    printJson(options.generate ? { token, entry } : { entry });
    return exitCodes.success;
  }
  // Apart from the entry, so that `>> tokens.yaml` does not store it.
  if (options.generate) process.stderr.write(`The token, shown this once: ${token}\n`);
  process.stdout.write(`${stringify([entry]).trimEnd().replace(/^/gm, '  ')}\n`);
  return exitCodes.success;
}
