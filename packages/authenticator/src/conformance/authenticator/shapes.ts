import type { Decision, UserInfo } from '../../decision.ts';

const fieldsOfAuthenticated: readonly string[] = [
  'kind',
  'user',
  'credential',
  'audiences',
  'expiresAt',
  'session',
];
export const fieldsOfRejected: readonly string[] = ['kind', 'reason', 'subject', 'audiences'];
const fieldsOfUser: readonly string[] = ['username', 'uid', 'groups', 'extra'];

/** @returns what is wrong with an `authenticated` decision; undefined when Kubernetes can use it as it is */
export function describeAuthenticatedProblem(decision: object, now: number): string | undefined {
  const { user, credential, audiences, expiresAt } = decision as Record<string, unknown>;
  const unknownField = Object.keys(decision).find((key) => !fieldsOfAuthenticated.includes(key));
  if (unknownField !== undefined)
    return `the decision has a field "${unknownField}" that the contract does not have`;
  if (audiences !== undefined && !isNames(audiences))
    return 'audiences is not an array of non-empty strings';
  if (expiresAt !== undefined) {
    if (!(expiresAt instanceof Date) || Number.isNaN(expiresAt.getTime()))
      return 'expiresAt is not a valid Date';
    if (expiresAt.getTime() <= now) return 'expiresAt is in the past';
  }
  return (
    describeUserProblem(user) ??
    (credential === undefined ? undefined : describeCredentialProblem(credential))
  );
}

/** Characters of an id. Real ids have some 40: a longer one is most likely a token or a part of one. */
const maxCredentialLength = 1_024;

function describeCredentialProblem(credential: unknown): string | undefined {
  if (typeof credential !== 'object' || credential === null) return 'credential is not an object';
  for (const [key, id] of Object.entries(credential)) {
    if (key !== 'jti' && key !== 'sid')
      return `the credential has a field "${key}" that the contract does not have`;
    if (!isName(id) || id.length > maxCredentialLength) {
      return `credential.${key} is not a non-empty, well-formed string of at most ${maxCredentialLength} characters`;
    }
  }
  return undefined;
}

/** @returns what is wrong with a user; undefined when Kubernetes can use it as it is */
export function describeUserProblem(user: unknown): string | undefined {
  if (typeof user !== 'object' || user === null) return 'user is not an object';
  const { username, uid, groups, extra } = user as Record<string, unknown>;
  if (!isName(username)) return 'user.username is not a non-empty, well-formed string';
  if (uid !== undefined && !isText(uid)) return 'user.uid is not a well-formed string';
  if (groups !== undefined && !isNames(groups))
    return 'user.groups is not an array of non-empty strings';
  const unknownField = Object.keys(user).find((key) => !fieldsOfUser.includes(key));
  if (unknownField !== undefined)
    return `the user has a field "${unknownField}" that the contract does not have`;
  return extra === undefined ? undefined : describeExtraProblem(extra);
}

function describeExtraProblem(extra: unknown): string | undefined {
  if (typeof extra !== 'object' || extra === null || Array.isArray(extra))
    return 'user.extra is not an object';
  for (const [key, values] of Object.entries(extra)) {
    if (!isName(key) || key !== key.toLowerCase())
      return `the key "${key}" of user.extra is not lowercase`;
    if (!Array.isArray(values) || !values.every(isText))
      return `"${key}" of user.extra is not an array of strings`;
  }
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

function isName(value: unknown): value is string {
  return isText(value) && value !== '';
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every(isName);
}

/** Formats a user for comparison: all fields, groups and keys sorted. */
export function wholeUser({ username, uid, groups = [], extra = {} }: UserInfo): string {
  const sortedExtra = Object.entries(extra).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({
    username,
    uid: uid ?? null,
    groups: [...groups].sort(),
    extra: sortedExtra,
  });
}

/** Whether a decision lets exactly this user in. */
export function isAbout(decision: Decision | undefined, user: UserInfo): boolean {
  return decision?.kind === 'authenticated' && wholeUser(decision.user) === wholeUser(user);
}
