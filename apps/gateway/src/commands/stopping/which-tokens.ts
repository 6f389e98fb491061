import type { IssuedToken, TokenSelection, UnreadableToken } from '@sallyport/authenticator';
import type { GatewayConfig } from '../../config/types.ts';
import { printable } from '../../logging/printable.ts';
import { issuesTokens } from '../../runtime/authenticators.ts';
import { chooseIssuer } from '../token/choose-issuer.ts';
import { digestLength } from '../token/digest-option.ts';
import { shortDigest } from '../token/issued-token.ts';
import { type Issuing, issuingOf, withIssuer } from '../token/issuing.ts';
import { UsageError } from '../usage-error.ts';
import type { Subject } from './whom.ts';

/** How many tokens are listed of those that a digest's first digits may mean. */
const mostListed = 10;

/**
 * The authenticators that may have issued tokens of the subject.
 *
 * @throws UsageError when `--authenticator` names one that can't; Error when that one issues no tokens
 */
export function issuersOf(
  config: GatewayConfig,
  subject: Subject,
  options: { readonly config?: string; readonly authenticator?: string },
): readonly Issuing[] {
  const named = options.authenticator;
  if (subject.kind === 'all') {
    if (named !== undefined) throw new UsageError('--authenticator is for --user, --token and --digest: leave it out');
    return [];
  }
  const issuing =
    named === undefined ? config.authenticators.filter(issuesTokens) : [chooseIssuer(config, named).authenticator];
  const able = issuing.filter(({ username: { prefix } }) => {
    return subject.kind !== 'user' || (subject.name.startsWith(prefix) && subject.name !== prefix);
  });
  if (named !== undefined && able.length === 0) {
    const prefix = issuing[0]?.username.prefix;
    throw new UsageError(`users of authenticator ${named} begin with "${prefix}": correct --user or --authenticator`);
  }
  return able.map((authenticator) => issuingOf(config, { authenticator, isOneOfSeveral: true }, options.config));
}

/** What an issuer is asked to revoke, in the names of its backend. */
export function selectionOf({ kind, name, token }: Subject, { authenticator }: Issuing): TokenSelection {
  if (kind === 'user') return { username: name.slice(authenticator.username.prefix.length) };
  return token === undefined ? { digest: name } : { token };
}

/**
 * The whole digest of the one token whose digest begins with these digits.
 *
 * @returns undefined when there is none
 * @throws UsageError when there are several
 */
export async function completeDigest(digits: string, issuers: readonly Issuing[]): Promise<string | undefined> {
  if (digits.length === digestLength) return digits;
  const found = (await Promise.all(issuers.map((issuing) => tokensThatBegin(digits, issuing)))).flat();
  const digests = new Set(found.map(({ token }) => token.digest));
  if (digests.size <= 1) return found[0]?.token.digest;
  const listed = found.slice(0, mostListed).map((one) => `\n    ${nameOf(one, digits.length)}`);
  const more = found.length > mostListed ? `\n    and ${found.length - mostListed} more` : '';
  throw new UsageError(`--digest ${digits} is the beginning of several, give more digits:${listed.join('')}${more}`);
}

interface Found {
  readonly token: IssuedToken | UnreadableToken;
  readonly issuing: Issuing;
}

function tokensThatBegin(digest: string, issuing: Issuing): Promise<readonly Found[]> {
  return withIssuer(issuing, async (issuer) => {
    const found: Found[] = [];
    for await (const token of issuer.list({ digest })) found.push({ token, issuing });
    return found;
  });
}

/** With more digits than were given, or they would still look the same. */
function nameOf({ token, issuing }: Found, given: number): string {
  const digits = given < 12 ? shortDigest(token.digest) : token.digest;
  return `${digits}  ${'fault' in token ? 'unreadable' : printable(issuing.judge(token.user).user.username)}`;
}
