import type { Credential, UserInfo } from '@sallyport/authenticator';
import { oneLine, type UnverifiedJwt } from '@sallyport/plugin-kit';
import type { IssuerOptions } from './options.ts';

/** Claims are the payload of a token: whatever its issuer wrote. */
export type Claims = UnverifiedJwt['claims'];

/**
 * A problem says why a token is refused. It has names of the config and of the
 * token's claims, and no values.
 */
export interface TokenProblem {
  readonly problem: string;
  /** The values that the problem is about, which no log may have. */
  readonly values?: string;
}

/**
 * The key is `CredentialIDKey` of kubernetes/apiserver pkg/authentication/user/user.go;
 * `CredentialIDForJTI` in pkg/authentication/serviceaccount makes its value.
 */
const credentialIdKey = 'authentication.kubernetes.io/credential-id';

/**
 * Applies the rules of an issuer and maps claims to a user, as kube-apiserver does (kubernetes/apiserver
 * plugin/pkg/authenticator/token/oidc/oidc.go): a claim is found by its exact name, at the top of the token.
 */
export function mapUser(
  claims: Claims,
  issuer: Pick<IssuerOptions, 'rules' | 'mappings' | 'credentialId'>,
): UserInfo | TokenProblem {
  for (const { claim, requiredValue } of issuer.rules) {
    const claimValue = readClaim(claims, claim);
    if (claimValue === undefined) return { problem: missingClaim(claims, claim) };
    if (claimValue !== requiredValue)
      return {
        problem: whyOtherValue(claim, claimValue, requiredValue),
        values: compareValues(claim, claimValue, requiredValue),
      };
  }
  const { groups, uid, extra } = issuer.mappings;
  const username = mapUsername(claims, issuer.mappings);
  if (typeof username !== 'string') return username;
  const members = groups === undefined ? undefined : readTexts(readClaim(claims, groups.claim));
  if (members === null)
    return {
      problem: `claim ${groups?.claim} is neither a string nor a list of strings: ${useAnother}`,
    };
  const id = uid === undefined ? undefined : readClaim(claims, uid.claim);
  if (uid !== undefined && id === undefined) return { problem: missingClaim(claims, uid.claim) };
  if (uid !== undefined && (typeof id !== 'string' || id === ''))
    return { problem: `claim ${uid.claim} is not a string: ${useAnother}` };
  const mappedExtra = mapExtra(claims, extra, issuer.credentialId);
  if ('problem' in mappedExtra) return mappedExtra;
  return {
    username,
    ...(typeof id === 'string' && { uid: id }),
    ...(members &&
      groups && { groups: members.filter(Boolean).map((group) => groups.prefix + group) }),
    ...(Object.keys(mappedExtra.extra).length > 0 && { extra: mappedExtra.extra }),
  };
}

function whyOtherValue(
  claim: string,
  claimValue: unknown,
  requiredValue: string | boolean,
): string {
  if (typeof claimValue === 'boolean' && typeof requiredValue === 'string')
    return `claim ${claim} is true or false, and its requiredValue is a string: write it without quotes`;
  if (typeof claimValue === 'string' && typeof requiredValue === 'boolean')
    return `claim ${claim} is a string, and its requiredValue is true or false: write it in quotes`;
  return `claim ${claim} does not have the required value`;
}

/** Claims that can name a person: section 5.1 of OpenID Connect Core 1.0, and the claims of Entra ID. */
const personalClaims = new Set(
  'sub name given_name family_name middle_name nickname preferred_username profile picture website email birthdate phone_number address upn unique_name'.split(
    ' ',
  ),
);

/** A message has at most this many characters of a value. */
const maxValueLength = 100;

/** Shows the value of a claim next to the value that a rule has. */
function compareValues(
  claim: string,
  claimValue: unknown,
  requiredValue: string | boolean,
): string {
  const isPersonal = personalClaims.has(claim.toLowerCase());
  const type = nameType(claimValue);
  const requiredType = nameType(requiredValue);
  const shown = isPersonal
    ? `${type}, which is not shown since it can name a person`
    : showValue(claimValue);
  // The problem of such a pair says the same with its fix.
  const isExplained = whyOtherValue(claim, claimValue, requiredValue).includes('requiredValue');
  const difference =
    type === requiredType || isExplained ? '' : `: ${type} never equals ${requiredType}`;
  return `it is ${shown}, and the rule has ${showValue(requiredValue)}${difference}`;
}

function nameType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function showValue(value: unknown): string {
  if (value === null) return 'null';
  const json = JSON.stringify(value);
  const cut = json.length > maxValueLength ? `${json.slice(0, maxValueLength)}…` : json;
  return `${nameType(value).replace(/^an?/, 'the')} ${oneLine(cut)}`;
}

/**
 * Maps claims to the name of a user.
 *
 * @param claims the claims of a token whose signature is good: what others wrote names no one
 */
export function mapUsername(
  claims: Claims,
  { username }: Pick<IssuerOptions['mappings'], 'username'>,
): string | TokenProblem {
  const name = readClaim(claims, username.claim);
  if (name === undefined) return { problem: missingClaim(claims, username.claim) };
  if (typeof name !== 'string')
    return { problem: `claim ${username.claim} is not a string: ${useAnother}` };
  if (name === '') return { problem: `claim ${username.claim} is empty: ${useAnother}` };
  // As in kube-apiserver, null is not true: some providers write it for "not known".
  const isUnverified = Object.hasOwn(claims, 'email_verified') && claims.email_verified !== true;
  if (username.claim === 'email' && isUnverified) {
    return { problem: `the e-mail address is not verified (email_verified): ${useAnother}` };
  }
  return username.prefix + name;
}

function mapExtra(
  claims: Claims,
  mappings: IssuerOptions['mappings']['extra'],
  credentialId: boolean,
): { readonly extra: Readonly<Record<string, readonly string[]>> } | TokenProblem {
  const entries: [string, readonly string[]][] = [];
  for (const { key, claim } of mappings) {
    const values = readTexts(readClaim(claims, claim));
    if (values === null)
      return { problem: `claim ${claim} is neither a string nor a list of strings: ${useAnother}` };
    // Kubernetes takes a mapping to "", [] or null for one that is not there.
    if (values?.some((text) => text !== '')) entries.push([key, values]);
  }
  const id = credentialId ? readClaim(claims, 'jti') : undefined;
  if (id !== undefined && typeof id !== 'string') return { problem: 'claim jti is not a string' };
  if (id) entries.push([credentialIdKey, [`JTI=${id}`]]);
  return { extra: Object.fromEntries(entries) };
}

/** A user made up of all that the options of an issuer can give: the identity policy is to accept them. */
export function exampleUser({
  mappings,
  credentialId,
}: Pick<IssuerOptions, 'mappings' | 'credentialId'>): UserInfo {
  const { username, groups, uid, extra } = mappings;
  const sample = (claim: string) => `<${claim}>`;
  return {
    username: username.prefix + sample(username.claim),
    ...(uid && { uid: sample(uid.claim) }),
    ...(groups && { groups: [groups.prefix + sample(groups.claim)] }),
    extra: Object.fromEntries([
      ...extra.map(({ key, claim }) => [key, [sample(claim)]]),
      ...(credentialId ? [[credentialIdKey, [`JTI=${sample('jti')}`]]] : []),
    ]),
  };
}

/**
 * Reads the ids by which an operator can block a token: `jti` and `sid`.
 *
 * @returns undefined where there is none. An id that is not text can't be named on a command line, so it is left out
 */
export function readCredential(claims: Claims): Credential | undefined {
  const ids = (['jti', 'sid'] as const).flatMap((name) => {
    const id = readClaim(claims, name);
    return typeof id === 'string' && id !== '' && id.isWellFormed() ? [[name, id] as const] : [];
  });
  return ids.length === 0 ? undefined : Object.fromEntries(ids);
}

/** Says why a user has no groups although a claim is mapped to them; undefined where the token has that claim. */
export function whyNoGroups(
  claims: Claims,
  { groups }: IssuerOptions['mappings'],
): string | undefined {
  if (groups === undefined || readClaim(claims, groups.claim) !== undefined) return undefined;
  return `no groups: ${missingClaim(claims, groups.claim)}`;
}

/** A message lists at most this many claims of a token, and this many characters of each name. */
const [maxClaims, maxNameLength] = [40, 80];

/** Words that a claim is missing, with the names of those that are there. Their values may be private. */
function missingClaim(claims: Claims, name: string): string {
  const names = Object.keys(claims).sort();
  const listed = names
    .slice(0, maxClaims)
    .map((claimName) => oneLine(claimName.slice(0, maxNameLength)));
  const overflow = names.length > maxClaims ? ` and ${names.length - maxClaims} more` : '';
  return `claim ${name} is not in the token, which has ${listed.join(', ')}${overflow}: ${useAnother}`;
}

const useAnother = 'let the issuer correct it, or name another claim in the options';

/** Reads the audiences of a token. */
export function readAudiences({ aud }: Claims): readonly string[] {
  return [aud].flat().filter((audience) => typeof audience === 'string');
}

/** Reads a claim of the token itself: `constructor` is not one. */
function readClaim(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** Reads a claim as a list of texts. @returns undefined for a claim that is not there, null for one of another type */
function readTexts(value: unknown): readonly string[] | undefined | null {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((text) => typeof text === 'string') ? value : null;
}
