import { createHash, randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { printable } from '../../base/logging/printable.ts';
import { FixableError } from '../../config/problems.ts';
import { createTokenFingerprint } from '../../observe/audit/entry.ts';
import type { CommandContext } from '../context.ts';
import type { ConfigOptions, ReadOptions, TokenOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark } from '../output.ts';
import { readToken } from '../read-token.ts';
import { timeText } from '../times.ts';

/** Prints the fingerprint of a token in the trail: with the key in use first, then with those that may have been in use. */
export async function auditFingerprint(context: CommandContext, options: ConfigOptions) {
  // This is imported here, since `token hash` reads no config.
  const { loadNamedConfig } = await import('../config-file.ts');
  const { redis } = (await loadNamedConfig(context, options)).cache;
  if (redis === undefined) {
    throw new FixableError(
      'no fingerprint can be made: without cache.redis.sealingKeys, each process has a random key of its own',
      'add cache.redis with its sealingKeys',
    );
  }
  const token = await readToken(context);
  const fingerprints = redis.sealingKeys.map((key) => createTokenFingerprint(key)(token));
  context.stdout.write(`${fingerprints.join('\n')}\n`);
  return exitCodes.success;
}

export async function tokenHash(
  context: CommandContext,
  options: TokenOptions & ReadOptions & { generate?: boolean },
): Promise<ExitCode> {
  const { user, uid, group, audience, ttl = Number.POSITIVE_INFINITY, generate } = options;
  const token = generate
    ? randomBytes(32).toString('base64url')
    : checkToken(context, await readToken(context));
  const end = ttl === Number.POSITIVE_INFINITY ? undefined : new Date(context.now() + ttl);
  const fields = { username: user, uid, groups: group, audiences: audience };
  if (options.output === 'json')
    printJson(context, { ...(generate && { token }), entry: makeEntry(token, fields, end) });
  else {
    // The token goes to standard error, so that `>> tokens.yaml` does not store it.
    if (generate) context.stderr.write(`The token, shown only once: ${token}\n`);
    context.stdout.write(staticEntry(token, fields, end));
  }
  remarkCommas(context, group);
  return exitCodes.success;
}

/** Remarks on a group with a comma: other tools take several values with commas. A name of LDAP may have commas, too. */
export function remarkCommas(context: CommandContext, groups: readonly string[] = []): void {
  const group = groups.find((name) => name.includes(',') && !name.includes('='));
  if (group === undefined) return;
  printRemark(
    context,
    `${printable(group)} is one group, with a comma in its name`,
    'if several groups are meant, drop this token, and write --group once per group',
  );
}

type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Returns an entry of a static tokens file, as text. @param end when the token expires; left out: never */
export function staticEntry(token: string, fields: Fields, end?: Date): string {
  const text = stringify([makeEntry(token, fields, end)]);
  return `${text.trimEnd().replace(/^/gm, '  ')}\n`;
}

function makeEntry(token: string, fields: Fields, end: Date | undefined): Fields {
  const sha256 = createHash('sha256').update(token).digest('hex');
  return { sha256, ...fields, expiresAt: end && timeText(end) };
}

function checkToken(context: CommandContext, token: string): string {
  if (!token.isWellFormed() || token.includes('\uFFFD'))
    throw new FixableError(
      'the token is not valid UTF-8',
      'make a token of letters and digits: use --generate, or openssl rand -hex 32',
    );
  // kubernetes/apiserver pkg/authentication/request/bearertoken: the header is split at spaces, its second word counts.
  if (/\s/.test(token))
    throw new FixableError(
      'the token contains a space or a line end, where kube-apiserver would cut it',
      'pipe the token alone, without the word Bearer',
    );
  // Whoever reads a digest can try guesses against it: 128 random bits are 22 characters of base64.
  if (token.length < 22) {
    printRemark(
      context,
      `this token has ${token.length} characters; a token that can be guessed can be found from its digest`,
      'use --generate for a random token',
    );
  }
  return token;
}
