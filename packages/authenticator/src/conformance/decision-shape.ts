import { rejectionReasons, type UserInfo } from '../decision.ts';

/** What is wrong with the kind of an answer, the reason or the fields: undefined when it is one of the contract's. */
export function faultOfDecision(decision: unknown): string | undefined {
  if (typeof decision !== 'object' || decision === null) return 'it is no object';
  const { kind, reason } = decision as { kind?: unknown; reason?: unknown };
  if (kind === 'no-opinion' || kind === 'authenticated') return undefined;
  if (kind !== 'rejected') return 'its kind is none of authenticated, rejected, no-opinion';
  if ((rejectionReasons as readonly unknown[]).includes(reason)) return undefined;
  return `its reason is none of ${rejectionReasons.join(', ')}`;
}

const fieldsOfAuthenticated: readonly string[] = ['kind', 'user', 'audiences', 'expiresAt'];
const fieldsOfUser: readonly string[] = ['username', 'uid', 'groups', 'extra'];

/** What is wrong with an `authenticated` decision, field by field: undefined when Kubernetes can use it as it is. */
export function faultOfAuthenticated(decision: object, now: number): string | undefined {
  const { user, audiences, expiresAt } = decision as Record<string, unknown>;
  const unknown = Object.keys(decision).find((key) => !fieldsOfAuthenticated.includes(key));
  if (unknown !== undefined) return `the decision has a field "${unknown}" that nobody reads`;
  if (audiences !== undefined && !isNames(audiences)) return 'audiences is no array of non-empty strings';
  if (expiresAt !== undefined) {
    if (!(expiresAt instanceof Date) || Number.isNaN(expiresAt.getTime())) return 'expiresAt is no valid Date';
    if (expiresAt.getTime() <= now) return 'expiresAt is in the past';
  }
  return faultOfUser(user);
}

function faultOfUser(user: unknown): string | undefined {
  if (typeof user !== 'object' || user === null) return 'user is no object';
  const { username, uid, groups, extra } = user as Record<string, unknown>;
  if (!isName(username)) return 'user.username is no non-empty, well-formed string';
  if (uid !== undefined && !isText(uid)) return 'user.uid is no well-formed string';
  if (groups !== undefined && !isNames(groups)) return 'user.groups is no array of non-empty strings';
  const unknown = Object.keys(user).find((key) => !fieldsOfUser.includes(key));
  if (unknown !== undefined) return `the user has a field "${unknown}" that nobody reads`;
  return extra === undefined ? undefined : faultOfExtra(extra);
}

function faultOfExtra(extra: unknown): string | undefined {
  if (typeof extra !== 'object' || extra === null || Array.isArray(extra)) return 'user.extra is no object';
  for (const [key, values] of Object.entries(extra)) {
    if (!isName(key) || key !== key.toLowerCase()) return `the key "${key}" of user.extra is not lowercase`;
    if (!Array.isArray(values) || !values.every(isText)) return `"${key}" of user.extra is no array of strings`;
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

/** A user in one form, to compare by: nothing left out, groups and keys sorted. */
export function wholeUser({ username, uid, groups = [], extra = {} }: UserInfo): string {
  const sortedExtra = Object.entries(extra).sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify({ username, uid: uid ?? null, groups: [...groups].sort(), extra: sortedExtra });
}
