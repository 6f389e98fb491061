import { hash } from 'node:crypto';
import { types } from 'node:util';
import {
  type Authenticated,
  type Authenticator,
  AuthenticatorError,
  type Credential,
  type Decision,
  type Rejected,
  rejectionReasons,
  type UserInfo,
} from '@sallyport/authenticator';
import { isDeeplyFrozen, memoize } from './answer.ts';
import { createDecidingLayer, shortenAudiences } from './layer.ts';

/**
 * Checks the plugin's answer and rebuilds it as a frozen decision of our own: a mistake in a plugin never reads as
 * `authenticated`, and a later change of the plugin's object changes no decision and nothing in the cache. A token that
 * has ended is `expired`.
 *
 * @param now wall clock, milliseconds since 1970, for `expiresAt`
 * @param sessions whether a decision may be about a session. It must not without a layer that has its user looked up again
 */
export function withCheckedDecision(
  inner: Authenticator,
  now: () => number,
  sessions = false,
): Authenticator {
  const inTime = (decision: Decision): Decision => {
    if (decision.kind !== 'authenticated' || decision.expiresAt === undefined) return decision;
    if (decision.expiresAt.getTime() > now()) return decision;
    return Object.freeze({ kind: 'rejected', reason: 'expired', subject: decision.user.username });
  };
  const checkDecision = (answer: Decision): Decision => {
    const decision = readDecision(answer);
    if (sessions || decision.kind !== 'authenticated' || decision.session === undefined)
      return decision;
    throw invalid('it is about a session, which only the authenticator of login.sessions has');
  };
  // A static token has the same frozen decision each time. Reading it again would take 1 to 4 µs, and making its names as much.
  const checkOnce = memoize(checkDecision, isDeeplyFrozen);
  return createDecidingLayer(inner, (answer) => {
    // The text of a session must have been written for its token, so no two tokens may share a decision.
    const decision = sessions ? checkDecision(answer) : checkOnce(answer);
    return inTime(readExpiry(decision) === readExpiry(answer) ? decision : checkDecision(answer));
  });
}

function readExpiry(decision: Decision): number | undefined {
  return decision.kind === 'authenticated' ? decision.expiresAt?.getTime() : undefined;
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** Checks every field of what should be a decision, and copies it into a frozen one. @throws AuthenticatorError `failed` */
export function readDecision(value: unknown): Decision {
  if (!isObject(value)) throw invalid('it is not an object');
  const { kind } = value;
  if (kind === 'authenticated') return readAuthenticated(value);
  if (kind === 'rejected') return readRejected(value);
  if (kind === 'no-opinion') return Object.freeze({ kind });
  throw invalid('kind is not one of authenticated, rejected, no-opinion');
}

function readAuthenticated(fields: Fields): Authenticated {
  const { user, credential, audiences, expiresAt, session } = fields;
  const decision: Writable<Authenticated> = { kind: 'authenticated', user: readUser(user) };
  if (credential !== undefined) decision.credential = readCredential(credential);
  if (audiences !== undefined) decision.audiences = readStrings(audiences, 'audiences');
  if (expiresAt !== undefined) decision.expiresAt = readDate(expiresAt, 'expiresAt');
  if (session !== undefined) decision.session = readString(session, 'session');
  return Object.freeze(decision);
}

function readCredential(value: unknown): Credential {
  if (!isObject(value)) throw invalid('credential is not an object');
  const { jti, sid } = value;
  const credential: Writable<Credential> = {};
  if (jti !== undefined) credential.jti = shortenId(readString(jti, 'credential.jti'));
  if (sid !== undefined) credential.sid = shortenId(readString(sid, 'credential.sid'));
  return Object.freeze(credential);
}

/** The maximum length of a `jti` or `sid`, in characters. Real ones have some 40. */
const maxIdLength = 256;

/**
 * Replaces an id that is very long by a digest: an issuer may write ids of any length, and each must fit into the revocation
 * list, and into many cached answers. Commands name an id in the same way.
 */
export function shortenId(id: string): string {
  return id.length <= maxIdLength ? id : `sha256:${hash('sha256', id, 'hex')}`;
}

function readRejected({ reason, subject, audiences }: Fields): Rejected {
  const knownReason = rejectionReasons.find((candidate) => candidate === reason);
  if (knownReason === undefined) throw invalid('reason is not one of the known reasons');
  const decision: Writable<Rejected> = { kind: 'rejected', reason: knownReason };
  if (subject !== undefined) decision.subject = readString(subject, 'subject');
  if (audiences !== undefined)
    decision.audiences = shortenAudiences(readStrings(audiences, 'audiences'));
  return Object.freeze(decision);
}

function readUser(value: unknown): UserInfo {
  if (!isObject(value)) throw invalid('user is not an object');
  const { username, uid, groups, extra } = value;
  // The identity policy refuses an empty username.
  const user: Writable<UserInfo> = { username: readString(username, 'user.username') };
  if (uid !== undefined) user.uid = readString(uid, 'user.uid');
  if (groups !== undefined) user.groups = readStrings(groups, 'user.groups');
  if (extra !== undefined) user.extra = readExtra(extra);
  return Object.freeze(user);
}

function readExtra(value: unknown): Readonly<Record<string, readonly string[]>> {
  if (!isPlainObject(value)) throw invalid('user.extra is not a plain object');
  const entries = Object.entries(value).map(
    ([key, values]) =>
      [
        readString(key, 'a key of user.extra'),
        readStrings(values, 'a value of user.extra'),
      ] as const,
  );
  // fromEntries defines own properties, so a key named __proto__ stays a key.
  return Object.freeze(Object.fromEntries(entries));
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

/** Says whether a value is a plain object. A Map is not: its entries would be lost without notice. */
function isPlainObject(value: unknown): value is Fields {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function readString(value: unknown, field: string): string {
  if (isText(value)) return value;
  throw notText(value, field);
}

function readStrings(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value)) throw invalid(`${field} is not an array`);
  const copy = new Array<string>(value.length);
  for (let index = 0; index < value.length; index++) {
    const element: unknown = value[index];
    if (!isText(element)) throw notText(element, `${field}[${index}]`);
    copy[index] = element;
  }
  return Object.freeze(copy);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

function notText(value: unknown, field: string): AuthenticatorError {
  return invalid(
    `${field} is not ${typeof value === 'string' ? 'well-formed Unicode' : 'a string'}`,
  );
}

function readDate(value: unknown, field: string): Date {
  const time = types.isDate(value) ? value.getTime() : Number.NaN;
  if (Number.isNaN(time)) throw invalid(`${field} is not a valid Date`);
  return new Date(time);
}

/** Makes an error that names a field, never its value, which may be a token. */
function invalid(problem: string): AuthenticatorError {
  return new AuthenticatorError('failed', `the plugin's answer: ${problem}`);
}
