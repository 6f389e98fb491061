import { createHash, randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { readToken } from '../input.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { refuseEmpty } from './empty-options.ts';
import { timeText } from './issued-token.ts';
import { readEnd } from './request.ts';

export interface TokenHashOptions {
  readonly user: string;
  readonly uid?: string;
  readonly group?: readonly string[];
  readonly audience?: readonly string[];
  readonly ttl?: string;
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
function checkOwner({ user, uid, group, audience, ttl }: TokenHashOptions): object {
  refuseEmpty({ '--user': user, '--uid': uid, '--group': group, '--audience': audience });
  const expiresAt = ttl === undefined ? undefined : readEnd(ttl, Date.now());
  return {
    username: user,
    ...(uid === undefined ? {} : { uid }),
    ...(group === undefined ? {} : { groups: group }),
    ...(audience === undefined ? {} : { audiences: audience }),
    ...(expiresAt === undefined ? {} : { expiresAt: timeText(expiresAt) }),
  };
}

function checkToken(token: string): string {
  if (!token.isWellFormed() || token.includes('\uFFFD')) throw new Error('the token is not valid UTF-8');
  // kubernetes/apiserver pkg/authentication/request/bearertoken: the header is split at spaces, its second word counts.
  if (/\s/.test(token)) throw new Error('the token has a space or a line end in it: kube-apiserver would cut it there');
  if (token.length < minimumLength) {
    process.stderr.write(
      `sallyport: this token has ${token.length} characters; one that can be guessed can be found from its digest. ` +
        'Use --generate for a random one.\n',
    );
  }
  return token;
}
