import type { LookUpKey } from '@sallyport/authenticator';
import type { IssuerOptions } from './options.ts';

/** The issuer vouches for these claims only if the second claim is true: OpenID Connect Core 1.0, section 5.1. */
const verifiedBy: Readonly<Record<string, string>> = {
  email: 'email_verified',
  phone_number: 'phone_number_verified',
};

/**
 * People usually edit these claims of the same section in their own profile.
 *
 * `preferred_username` is not one of them, although section 5.7 guarantees no more for it: Keycloak's and Authelia's tokens
 * have no other login name, whether people can edit it depends on the provider's settings, and a plugin can't see these. An
 * operator could not get rid of the warning, and would learn to ignore it. The page about `directory` says what to look for.
 */
const editedByPeople: ReadonlySet<string> = new Set([
  'name',
  'given_name',
  'family_name',
  'middle_name',
  'nickname',
  'profile',
  'picture',
  'website',
  'gender',
  'birthdate',
  'zoneinfo',
  'locale',
]);

/** Warns of each issuer whose users could choose whose groups `directory` gives them, or can't be found by it. */
export function listWarnings(
  issuers: readonly IssuerOptions[],
  lookUpKey: LookUpKey,
): readonly string[] {
  const issuerWarnings = issuers.flatMap((issuer) =>
    listProblems(issuer, lookUpKey).map((problem) => `issuer ${issuer.url}: ${problem}`),
  );
  if (issuers.length < 2) return issuerWarnings;
  const shared =
    `directory finds the users of ${issuers.length} issuers in one place: users of different issuers with the same name get the ` +
    'groups of one account. Give each issuer its own authenticator, and set directory only where the names of its users are their names in the directory';
  return [shared, ...issuerWarnings];
}

function listProblems({ mappings, rules }: IssuerOptions, lookUpKey: LookUpKey): readonly string[] {
  const claim = findClaim(mappings, lookUpKey);
  const chosen = claim === undefined ? undefined : whyChosen(claim, rules);
  const { prefix } = mappings.username;
  const prefixed =
    lookUpKey === 'username' && prefix !== ''
      ? `directory looks its users up with the prefix ${JSON.stringify(prefix)} of claimMappings.username, which no user of a ` +
        'directory has. Move the prefix to username.prefix next to options'
      : undefined;
  return [chosen, prefixed].filter((problem) => problem !== undefined);
}

/** @returns undefined if no claim is mapped to this part of the user, so that no one is looked up */
function findClaim({ username, uid, extra }: IssuerOptions['mappings'], lookUpKey: LookUpKey) {
  if (lookUpKey === 'username') return username.claim;
  if (lookUpKey === 'uid') return uid?.claim;
  return extra.find(({ key }) => key === lookUpKey.extra)?.claim;
}

function whyChosen(claim: string, rules: IssuerOptions['rules']): string | undefined {
  const lookUpText = `directory finds its users by the claim ${claim}`;
  const effect =
    "a person who enters another person's value at the provider gets that person's groups";
  const fixedClaim = 'a claim that only the provider sets, such as sub';
  if (editedByPeople.has(claim))
    return `${lookUpText}, which people usually edit themselves: ${effect}. Map ${fixedClaim}`;
  const verified = Object.hasOwn(verifiedBy, claim) ? verifiedBy[claim] : undefined;
  // Some providers write the claim as a string.
  const isVerified = rules.some(
    (rule) => rule.claim === verified && ['true', true].includes(rule.requiredValue),
  );
  if (verified === undefined || isVerified) return undefined;
  return `${lookUpText}, which is also accepted unverified: ${effect}. Add { claim: ${verified}, requiredValue: true } to claimValidationRules, or map ${fixedClaim}`;
}
