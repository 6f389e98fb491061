import type { IssuedToken, TokenSelection, UnreadableToken } from '@sallyport/authenticator';
import { printable } from '../../logging/printable.ts';
import { readToken } from '../input.ts';
import { UsageError } from '../usage-error.ts';
import { digestLength, readDigits } from './digest-option.ts';
import { refuseEmpty } from './empty-options.ts';
import { shortDigest } from './issued-token.ts';
import type { BoundedIssuer, Issuing } from './issuing.ts';
import { withoutPrefix } from './prefixed-names.ts';

/** Fewer digits may be those of another token by chance. */
const leastDigits = 8;

/** So many are told of those that a digest's first digits may mean. */
const toldOf = 10;

export interface WantedOptions {
  readonly token?: boolean;
  readonly digest?: string;
  readonly user?: string;
}

/** Which tokens `token revoke` is about; the token itself is not read yet. */
export type Wanted =
  | { readonly kind: 'token' }
  | { readonly kind: 'digest'; readonly digits: string }
  | { readonly kind: 'user'; readonly name: string };

/** @throws UsageError unless exactly one of the three is given */
export function readWanted({ token, digest, user }: WantedOptions): Wanted {
  refuseEmpty({ '--user': user });
  const given: Wanted[] = [
    ...(token ? [{ kind: 'token' } as const] : []),
    ...(digest === undefined ? [] : [{ kind: 'digest', digits: readDigits(digest, leastDigits) } as const]),
    ...(user === undefined ? [] : [{ kind: 'user', name: user } as const]),
  ];
  const [wanted, ...others] = given;
  if (wanted === undefined || others.length > 0) {
    throw new UsageError(
      'say which tokens to revoke by one of these: --token (which is read from standard input), --digest DIGITS, --user NAME',
    );
  }
  return wanted;
}

/** What the issuer is asked to revoke. */
export interface Selected {
  /** Left out: it has been found that there is nothing. */
  readonly selection?: TokenSelection;
  /** What to say when there is nothing. */
  readonly nothing: string;
}

/**
 * Reads the token, where one is wanted, before anything is opened that would have to wait for it.
 *
 * @returns what has still to be looked up
 * @throws UsageError, as does what is returned when a digest's first digits may mean several tokens
 */
export async function prepareSelection(
  wanted: Wanted,
  issuing: Issuing,
): Promise<(issuer: BoundedIssuer) => Promise<Selected>> {
  const { authenticator, judge } = issuing;
  const nothing = (what: string) => `authenticator ${authenticator.name} has no ${what}`;
  if (wanted.kind === 'token') {
    const selected = { selection: { token: await readToken() }, nothing: nothing('such token') };
    return async () => selected;
  }
  if (wanted.kind === 'user') {
    const username = withoutPrefix(wanted.name, authenticator);
    const selected = {
      selection: { username },
      nothing: nothing(`token of user ${judge({ username }).user.username}`),
    };
    return async () => selected;
  }
  const { digits } = wanted;
  return async (issuer) => ({
    ...(await findDigest(digits, issuing, issuer)),
    nothing: nothing(`token whose digest begins with ${digits}`),
  });
}

async function findDigest(
  digits: string,
  issuing: Issuing,
  issuer: BoundedIssuer,
): Promise<Pick<Selected, 'selection'>> {
  if (digits.length === digestLength) return { selection: { digest: digits } };
  const found: (IssuedToken | UnreadableToken)[] = [];
  for await (const each of issuer.list({ digest: digits })) found.push(each);
  const [one, ...others] = found;
  if (one === undefined) return {};
  if (others.length === 0) return { selection: { digest: one.digest } };
  const told = found.slice(0, toldOf).map((each) => `\n    ${nameOf(each, digits.length, issuing)}`);
  const more = found.length > toldOf ? `\n    and ${found.length - toldOf} more` : '';
  throw new UsageError(`--digest ${digits} is the beginning of several, give more digits:${told.join('')}${more}`);
}

/** With more digits than were given, or they would still look the same. */
function nameOf(token: IssuedToken | UnreadableToken, given: number, { judge }: Issuing): string {
  const digits = given < 12 ? shortDigest(token.digest) : token.digest;
  return `${digits}  ${'fault' in token ? 'unreadable' : printable(judge(token.user).user.username)}`;
}
