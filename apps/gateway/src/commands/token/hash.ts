import { createHash, randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { readToken } from '../input.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { parseTime } from '../time-option.ts';
import { UsageError } from '../usage-error.ts';

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
  const owner = checkOwner(options);
  const token = options.generate ? randomBytes(32).toString('base64url') : checkToken(await readToken());
  const entry = { sha256: createHash('sha256').update(token).digest('hex'), ...owner };
  if (options.output === 'json') {
    printJson(options.generate ? { token, entry } : { entry });
    return exitCodes.success;
  }
  // Apart from the entry, so that `>> tokens.yaml` does not store it.
  if (options.generate) process.stderr.write(`The token, shown this once: ${token}\n`);
  process.stdout.write(`${stringify([entry]).trimEnd().replace(/^/gm, '  ')}\n`);
  return exitCodes.success;
}

/** What would make an entry that the tokens file refuses is refused here. */
function checkOwner({ username, uid, group, expiresAt }: TokenHashOptions): object {
  if (username === '') throw new UsageError('--username is empty: every token belongs to somebody');
  if (group?.includes('')) throw new UsageError('--group is empty: leave it out for no group');
  if (expiresAt !== undefined && parseTime('--expires-at', expiresAt).getTime() <= Date.now()) {
    warn(`--expires-at ${expiresAt} is past: the token is refused as expired from the start.`);
  }
  return {
    username,
    ...(uid === undefined ? {} : { uid }),
    ...(group === undefined ? {} : { groups: group }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

function checkToken(token: string): string {
  if (!token.isWellFormed() || token.includes('\uFFFD')) throw new Error('the token is not valid UTF-8');
  // kubernetes/apiserver pkg/authentication/request/bearertoken: the header is split at spaces, its second word counts.
  if (/\s/.test(token)) throw new Error('the token has a space or a line end in it: kube-apiserver would cut it there');
  if (token.length < minimumLength) {
    warn(
      `this token has ${token.length} characters; one that can be guessed can be found from its digest. ` +
        'Use --generate for a random one.',
    );
  }
  return token;
}

function warn(message: string): void {
  process.stderr.write(`sallyport: ${message}\n`);
}
