import type { Credential, UserInfo } from '@sallyport/authenticator';
import { oneLine, type UnverifiedJwt } from '@sallyport/plugin-options';
import type { IssuerOptions } from './options.ts';

/** The payload of a token: whatever its issuer wrote. */
export type Claims = UnverifiedJwt['claims'];

/** What a token lacks, in words that quote no value of it: names of the config, and the names of its claims. */
export interface Objection {
  readonly objection: string;
}

/** kubernetes/apiserver pkg/authentication/user/user.go, `CredentialIDKey`, and `CredentialIDForJTI` in pkg/authentication/serviceaccount. */
const credentialIdKey = 'authentication.kubernetes.io/credential-id';

/**
 * Applies the rules of an issuer and maps claims to a user, as kube-apiserver does (kubernetes/apiserver
 * plugin/pkg/authenticator/token/oidc/oidc.go): claims are names at the top of the token, exactly.
 */
export function userOf(
  claims: Claims,
  issuer: Pick<IssuerOptions, 'rules' | 'mappings' | 'credentialId'>,
): UserInfo | Objection {
  for (const { claim, requiredValue } of issuer.rules) {
    const found = claimOf(claims, claim);
    if (found === undefined) return { objection: missingClaim(claims, claim) };
    if (found !== requiredValue) return { objection: `claim ${claim} has not the required value` };
  }
  const { groups, uid, extra } = issuer.mappings;
  const username = nameOf(claims, issuer.mappings);
  if (typeof username !== 'string') return username;
  const members = groups === undefined ? undefined : textsOf(claimOf(claims, groups.claim));
  if (members === null) return { objection: `claim ${groups?.claim} is neither a text nor a list of texts` };
  const id = uid === undefined ? undefined : claimOf(claims, uid.claim);
  if (uid !== undefined && id === undefined) return { objection: missingClaim(claims, uid.claim) };
  if (uid !== undefined && (typeof id !== 'string' || id === '')) return { objection: `claim ${uid.claim} is no text` };
  const more = extraOf(claims, extra, issuer.credentialId);
  if ('objection' in more) return more;
  return {
    username,
    ...(typeof id === 'string' && { uid: id }),
    ...(members && groups && { groups: members.filter(Boolean).map((group) => groups.prefix + group) }),
    ...(Object.keys(more.extra).length > 0 && { extra: more.extra }),
  };
}

/**
 * Maps claims to the name of a user.
 *
 * @param claims of a token whose signature is good: what others wrote names no one
 */
export function nameOf(claims: Claims, { username }: Pick<IssuerOptions['mappings'], 'username'>): string | Objection {
  const name = claimOf(claims, username.claim);
  if (name === undefined) return { objection: missingClaim(claims, username.claim) };
  if (typeof name !== 'string' || name === '') return { objection: `claim ${username.claim} is no text` };
  if (username.claim === 'email' && (claimOf(claims, 'email_verified') ?? true) !== true) {
    return { objection: 'the e-mail address is not verified (email_verified)' };
  }
  return username.prefix + name;
}

function extraOf(
  claims: Claims,
  mappings: IssuerOptions['mappings']['extra'],
  credentialId: boolean,
): { readonly extra: Readonly<Record<string, readonly string[]>> } | Objection {
  const entries: [string, readonly string[]][] = [];
  for (const { key, claim } of mappings) {
    const values = textsOf(claimOf(claims, claim));
    if (values === null) return { objection: `claim ${claim} is neither a text nor a list of texts` };
    // Kubernetes: a mapping to "", [] or null is taken as not there.
    if (values?.some((text) => text !== '')) entries.push([key, values]);
  }
  const id = credentialId ? claimOf(claims, 'jti') : undefined;
  if (id !== undefined && typeof id !== 'string') return { objection: 'claim jti is no text' };
  if (id) entries.push([credentialIdKey, [`JTI=${id}`]]);
  return { extra: Object.fromEntries(entries) };
}

/** A user made up of all that the options of an issuer can give: the identity policy is to accept them. */
export function exampleUser({ mappings, credentialId }: Pick<IssuerOptions, 'mappings' | 'credentialId'>): UserInfo {
  const { username, groups, extra } = mappings;
  const sample = (claim: string) => `<${claim}>`;
  return {
    username: username.prefix + sample(username.claim),
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
 * @returns undefined where there is none. An id that is no text can't be named on a command line, so it is left out
 */
export function credentialOf(claims: Claims): Credential | undefined {
  const ids = (['jti', 'sid'] as const).flatMap((name) => {
    const id = claimOf(claims, name);
    return typeof id === 'string' && id !== '' && id.isWellFormed() ? [[name, id] as const] : [];
  });
  return ids.length === 0 ? undefined : Object.fromEntries(ids);
}

/** Says why a user has no groups although a claim is mapped to them; undefined where the token has that claim. */
export function whyNoGroups(claims: Claims, { groups }: IssuerOptions['mappings']): string | undefined {
  if (groups === undefined || claimOf(claims, groups.claim) !== undefined) return undefined;
  return `no groups: ${missingClaim(claims, groups.claim)}`;
}

/** Claims of a token that are listed, and characters of each. */
const [mostClaims, longestName] = [40, 80];

/** Lists the claims that are there by their names alone: the values may be private. */
function missingClaim(claims: Claims, name: string): string {
  const names = Object.keys(claims).sort();
  const listed = names.slice(0, mostClaims).map((one) => oneLine(one.slice(0, longestName)));
  const more = names.length > mostClaims ? ` and ${names.length - mostClaims} more` : '';
  return `claim ${name} is not in the token, which has ${listed.join(', ')}${more}`;
}

/** A claim of the token itself: `constructor` is none. */
function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** @returns undefined for a claim that is not there, null for one of another type */
function textsOf(value: unknown): readonly string[] | undefined | null {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : null;
}
