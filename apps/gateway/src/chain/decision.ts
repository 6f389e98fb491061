import { types } from 'node:util';
import {
  type Authenticated,
  type Authenticator,
  AuthenticatorError,
  type Decision,
  rejectionReasons,
  type UserInfo,
} from '@sallyport/authenticator';
import { layer } from './layer.ts';

/**
 * Trusts no plugin's answer: it is read once, field by field, and rebuilt as a frozen decision of our own, so that a
 * plugin's mistake can neither read as yes nor change what the cache holds. A token that has ended is `expired`.
 *
 * @param now wall clock, milliseconds since 1970: `expiresAt` is told on it
 */
export function withSoundDecision(inner: Authenticator, now: () => number): Authenticator {
  return layer(inner, async (token, context) => {
    const decision = rebuild(await inner.authenticate(token, context));
    if (decision.kind === 'authenticated' && decision.expiresAt && decision.expiresAt.getTime() <= now()) {
      return Object.freeze({ kind: 'rejected', reason: 'expired', subject: decision.user.username });
    }
    return decision;
  });
}

function rebuild(value: unknown): Decision {
  try {
    return readDecision(value);
  } catch (error) {
    if (error instanceof Unsound) throw new AuthenticatorError('failed', `the plugin's answer: ${error.message}`);
    // A getter of the plugin threw. Its message is the plugin's, and may quote what it was asked.
    throw new AuthenticatorError('failed', "the plugin's answer could not be read");
  }
}

/** Names a field, never its value: that may be a token. */
class Unsound extends Error {}

/**
 * Reads what should be a decision, and rebuilds it, frozen.
 *
 * @throws Error for whatever is none
 */
export function readDecision(value: unknown): Decision {
  const { kind, ...read } = fields(value, 'it', 'kind', 'user', 'audiences', 'expiresAt', 'reason', 'subject');
  if (kind === 'authenticated') return readAuthenticated(read);
  if (kind === 'rejected') {
    const reason = rejectionReasons.find((known) => known === read.reason);
    if (reason === undefined) throw new Unsound('reason is not one of the known reasons');
    return Object.freeze({ kind, reason, ...optional('subject', read.subject, string) });
  }
  if (kind === 'no-opinion') return Object.freeze({ kind });
  throw new Unsound('kind is not one of authenticated, rejected, no-opinion');
}

function readAuthenticated(read: { user: unknown; audiences: unknown; expiresAt: unknown }): Authenticated {
  return Object.freeze({
    kind: 'authenticated',
    user: readUser(read.user),
    ...optional('audiences', read.audiences, strings),
    ...optional('expiresAt', read.expiresAt, date),
  });
}

function readUser(value: unknown): UserInfo {
  const read = fields(value, 'user', 'username', 'uid', 'groups', 'extra');
  return Object.freeze({
    // An empty one is the identity policy's to refuse.
    username: string(read.username, 'user.username'),
    ...optional('uid', read.uid, string, 'user.'),
    ...optional('groups', read.groups, strings, 'user.'),
    ...optional('extra', read.extra, readExtra, 'user.'),
  });
}

function readExtra(value: unknown, field: string): Readonly<Record<string, readonly string[]>> {
  if (!isPlainObject(value)) throw new Unsound(`${field} is not a plain object`);
  // fromEntries defines own properties, so a key named __proto__ stays a key.
  return Object.freeze(
    Object.fromEntries(
      Object.entries(value).map(([key, values]) => [
        string(key, `a key of ${field}`),
        strings(values, `a value of ${field}`),
      ]),
    ),
  );
}

/** Reads each property once: a getter must not say one thing to the check and another to the copy. */
function fields<Name extends string>(value: unknown, field: string, ...names: Name[]): Record<Name, unknown> {
  if (typeof value !== 'object' || value === null) throw new Unsound(`${field} is not an object`);
  const read = names.map((name) => [name, Reflect.get(value, name)] as const);
  return Object.fromEntries(read) as Record<Name, unknown>;
}

function optional<Name extends string, Value>(
  name: Name,
  value: unknown,
  read: (value: unknown, field: string) => Value,
  parent = '',
): { readonly [Key in Name]?: Value } {
  if (value === undefined) return {};
  return { [name]: read(value, `${parent}${name}`) } as { readonly [Key in Name]: Value };
}

function string(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new Unsound(`${field} is not a string`);
  if (!value.isWellFormed()) throw new Unsound(`${field} is not well-formed Unicode`);
  return value;
}

function strings(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value)) throw new Unsound(`${field} is not an array`);
  // By index: an iterator of the plugin's own could go on for ever.
  const { length } = value;
  return Object.freeze(Array.from({ length }, (_, index) => string(value[index], `${field}[${index}]`)));
}

function date(value: unknown, field: string): Date {
  const time = types.isDate(value) ? Date.prototype.getTime.call(value) : Number.NaN;
  if (Number.isNaN(time)) throw new Unsound(`${field} is not a valid Date`);
  return new Date(time);
}

/** Of any realm; a Map or an array, whose entries we would not see, is none. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
