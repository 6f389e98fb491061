import type { BlockList } from 'node:net';
import type {
  Credential,
  IssuedToken,
  Logger,
  NoOpinion,
  Rejected,
  RejectionReason,
  TokenIssuer,
  UserInfo,
} from '@sallyport/authenticator';
import { z } from 'zod';
import { asError, withoutToken } from '../base/logging/error-fields.ts';
import { isMisleading } from '../base/logging/printable.ts';
import type { AuthenticatorConfig, LoginConfig } from '../config/types.ts';
import type { Link, LinkContext } from '../engine/chain/chain.ts';
import type { Session, SessionTexts } from '../engine/sessions/session-text.ts';
import type { SessionUsers } from '../engine/sessions/session-user.ts';
import { nameNetwork } from '../http/socket-limit.ts';
import type { AttemptTexts } from './attempts/attempt.ts';
import type { PendingLogins } from './attempts/pending-logins.ts';
import {
  type BegunLogin,
  type EndLogins,
  type LoginEnds,
  writeUnlessEnded,
} from './ended-login.ts';
import type { Enrolment } from './factors/enrolment.ts';
import type { Passkeys } from './factors/passkeys.ts';
import type { FactorPolicy } from './factors/policy.ts';
import type { SecondFactor } from './factors/second-factor.ts';
import type { TotpEnrolment } from './factors/totp-enrolment.ts';
import {
  createUnavailableError,
  LoginError,
  noPasswords,
  secondFactorRequired,
  tooMany,
  uncheckedLogin,
  wrongCode,
  wrongCredentials,
} from './login-error.ts';
import type { LoginFacts } from './login-facts.ts';
import type { OpenIdClient } from './providers/openid-client.ts';
import type { RateLimit } from './rate-limit.ts';
import { maxTyped } from './secret-text.ts';

/**
 * A user whose password was right or whose ID token was accepted, with the names that the backend gives, and those that
 * Kubernetes sees.
 */
interface LoggedInUser {
  readonly kind: 'logged-in';
  readonly given: UserInfo;
  readonly named: UserInfo;
  /** Ids of the ID token. */
  readonly credential?: Credential | undefined;
}

/** An authenticator of `login.authenticators`, as a login uses it. */
export interface LoginLink extends Pick<AuthenticatorConfig, 'name' | 'onError' | 'username'> {
  /** Returns whether its plugin lists users, and each with a uid: then a user without one is a user whose uid can't be read. */
  readonly hasUids: () => boolean;
  /**
   * Checks a password as the chain would, but past the cache: the backend must see it. So the lockout guard, the identity
   * policy and blocks hold for it. @throws AuthenticatorError when it could not be checked
   */
  logIn(
    username: string,
    password: string,
    context: LinkContext,
  ): Promise<LoggedInUser | Rejected | NoOpinion>;
}

/** A provider of `login.providers`, as a login uses it. */
export interface LoginProvider {
  readonly name: string;
  readonly title: string;
  /** The authenticator that checks its ID tokens. */
  readonly authenticator: string;
  readonly issuer: string;
  readonly clientId: string;
  /** Milliseconds that a session lasts at most. */
  readonly ttl: number;
  readonly client: OpenIdClient;
  /**
   * Checks an ID token as the chain would, but for any audience of its issuer, and past the cache. So identity policy,
   * directory and blocks hold for it. @throws AuthenticatorError when it could not be checked
   */
  logIn(idToken: string, context: LinkContext): Promise<LoggedInUser | Rejected | NoOpinion>;
  /** Answers about the users of its sessions. */
  readonly users: SessionUsers;
}

/** What the login server needs for logins in a browser. */
export interface BrowserLogins {
  readonly attempts: AttemptTexts;
  readonly pending: PendingLogins;
  readonly providers: ReadonlyMap<string, LoginProvider>;
}

/** What the login server needs for second factors. */
export interface FactorParts {
  readonly secondFactor: SecondFactor;
  readonly enrolment: Enrolment;
  readonly apps: TotpEnrolment;
  readonly passkeys: Passkeys;
}

/** The parts of the login server that depend on the config. Each config makes them again. */
export interface LoginService extends LoginEnds {
  readonly config: LoginConfig;
  /** The networks of `login.trustedProxies`. */
  readonly proxies: BlockList;
  /** The milliseconds for one request: `server.reviewTimeout`. */
  readonly timeout: number;
  /** The authenticators of `login.authenticators`, in the order in which they are asked. */
  readonly links: readonly LoginLink[];
  /** The authenticator of `login.sessions` in the chain. */
  readonly sessions: Link;
  readonly issuer: TokenIssuer;
  readonly texts: SessionTexts;
  readonly factorPolicy: FactorPolicy;
  /** Undefined: the config has no `login.secondFactor`. */
  readonly factors: FactorParts | undefined;
  /** Undefined: people log in at a terminal alone. */
  readonly browser: BrowserLogins | undefined;
  /** Ends the logins in progress of a user on all replicas. Undefined: the replicas share no list. */
  readonly endLogins: EndLogins | undefined;
  /** Writes a kubeconfig. @returns undefined for an unknown cluster */
  readonly kubeconfig: (cluster: string) => string | undefined;
  /** Says why the issuer failed, for the log and without its secrets. */
  readonly problemOf: (error: unknown) => string;
  /** Keeps all of this open for a request in progress. */
  readonly hold: (work: Promise<unknown>) => void;
  readonly logger: Logger;
}

const text = z.string().min(1);
/**
 * The name of a device or of a second factor. It is shown in lists, and is in the audit trail. U+FFFD is there for what a
 * client could not read, and records refuse it.
 */
export const shortName = text
  .max(64)
  .refine((name) => !isMisleading(name) && !name.includes('\uFFFD'));

export const credentials = {
  username: text.max(1024).refine((name) => name.isWellFormed()),
  password: text.refine((password) => password.isWellFormed()),
};

const place = { cluster: text.max(63).optional(), device: shortName.optional() };

/** A code of a second factor, as it was typed. */
const code = text.max(maxTyped).optional();

const loginBody = z.strictObject({ ...credentials, code, ...place });

type Credentials = Pick<z.infer<typeof loginBody>, keyof typeof credentials>;

/** Reads the form of a page. @returns undefined if no user has such a name or password */
export function parseCredentials(form: URLSearchParams): Credentials | undefined {
  return z.object(credentials).safeParse(Object.fromEntries(form)).data;
}

/** Reads the body of `POST /v1/sessions`. @throws LoginError that names the field, and quotes nothing */
export function parseLoginBody(body: unknown) {
  const fieldsText =
    'username, password, code, cluster and device (at most 64 characters), each a non-empty string';
  return parseBody(loginBody, body, 'username and password', fieldsText);
}

const browserBody = z.strictObject({
  /** SHA-256 in base64url. */
  challenge: z.string().regex(/^[\w-]{43}$/),
  port: z.int().min(1).max(65_535).optional(),
  // It is kept in the URL, and in a cookie with what the provider's answer is checked against.
  username: credentials.username.max(256).optional(),
  ...place,
});

/** Reads the body of `POST /v1/logins`. @throws LoginError as {@link parseLoginBody} */
export function parseBrowserBody(body: unknown) {
  const fieldsText =
    'challenge (the SHA-256 of a secret in base64url), port, username, cluster and device (at most 64 characters)';
  return parseBody(browserBody, body, 'challenge', fieldsText);
}

const codeBody = z.strictObject({
  code: z.string(),
  /** RFC 7636, section 4.1. */
  verifier: z.string().regex(/^[\w.~-]{43,128}$/),
});

/** Reads the body of `POST /v1/sessions` with a code. @throws LoginError as {@link parseLoginBody} */
export function parseCodeBody(body: unknown) {
  return parseBody(codeBody, body, 'code and verifier', 'code and verifier');
}

/** Whether a body has the code of a login in a browser. With a password, `code` is a code of a second factor. */
export function isRedemption(body: unknown): boolean {
  const has = (key: string) => Object.hasOwn(Object(body), key);
  return has('code') && !has('username') && !has('password');
}

/** Reads a body. @throws LoginError that names the field, and quotes nothing */
export function parseBody<Body>(
  schema: z.ZodType<Body>,
  body: unknown,
  needed: string,
  fieldsText: string,
): Body {
  const { data, error } = schema.safeParse(body);
  if (data !== undefined) return data;
  const [field] = error?.issues[0]?.path ?? [];
  const what = field ? `${String(field)} is wrong` : `the body must be an object with ${needed}`;
  throw new LoginError(400, 'bad-request', `${what}: known are ${fieldsText}`);
}

/** Who logged in, and how. */
export type Proof = Readonly<
  Pick<Session, 'authenticator' | 'since' | 'provider' | 'amr'> &
    Record<'given' | 'named', UserInfo>
> & {
  /** The name that the person typed, or that the provider's authenticator gave. */
  readonly login: string;
};

export type NewSession = Awaited<ReturnType<typeof createSession>>;

/** What a session is for. */
export type SessionPlace = Readonly<Pick<Session, 'cluster' | 'device' | 'address'>>;

/** Names a count of logins. In JSON, no name of a user looks like a name with an address. */
const countName = (...parts: string[]) => JSON.stringify(parts);

/** Counts a login of a user who has proved everything, by the name that Kubernetes sees. @throws LoginError if there were too many */
export function countLogin(logins: RateLimit, { named }: Pick<Proof, 'named'>): void {
  const taken = logins.take(countName(named.username));
  if (typeof taken === 'number') throw tooMany('too many logins of this user', taken);
}

/**
 * Counts a right password whose second factor is still missing. It counts apart, for each address: who has only learned the
 * password does not use up the logins of its user.
 *
 * @throws LoginError if there were too many
 */
export function countIncomplete(
  logins: RateLimit,
  { named }: Pick<Proof, 'named'>,
  address: string,
): void {
  const taken = logins.take(countName(named.username, nameNetwork(address)));
  if (typeof taken === 'number')
    throw tooMany('too many logins of this user without a second factor', taken);
}

/**
 * Checks a name and a password.
 *
 * @throws LoginError, even when a backend could not be asked
 */
export async function provePassword(
  service: LoginService,
  given: Credentials,
  signal: AbortSignal,
  facts: LoginFacts,
): Promise<Proof> {
  if (service.links.length === 0) throw noPasswords();
  // The session begins before the password is checked: a password that is changed from here on ends it.
  const since = Date.now();
  const context = { audiences: [], signal };
  const [link, user, unchecked] = await checkPassword(service, given, context, facts);
  await requireNoOtherFactor(service, link, user, unchecked);
  const { name: authenticator } = link;
  return { authenticator, since, given: user.given, named: user.named, login: given.username };
}

interface ProvenLogin extends Pick<BegunLogin, 'revision'> {
  readonly proof: Proof;
  /** Makes the error of a login that was ended since its first proof. @param reason for the audit trail */
  readonly refuse: (reason: RejectionReason) => LoginError;
}

/**
 * Makes a session for a user who has proved who they are.
 *
 * @throws LoginError, even when the store could not be asked, for a user who must have a second factor and has not proved it, and
 *   for a login that was ended since its first proof
 */
export async function createSession(
  service: LoginService,
  { proof: { named, given, login: _, ...proof }, revision, refuse }: ProvenLogin,
  place: SessionPlace,
  signal: AbortSignal,
) {
  const { config, issuer, texts } = service;
  const { cluster, device, address } = place;
  const { audience } = (cluster === undefined ? undefined : config.clusters[cluster]) ?? {};
  const until = proof.since + lifetimeOf(service, proof);
  // No way to log in may forget it, and a reload may have made it required since.
  if (service.factorPolicy.isMissing(proof, named.groups)) throw secondFactorRequired([]);
  const session: Session = {
    ...proof,
    username: given.username,
    uid: given.uid,
    name: named.username,
    until,
    cluster,
    audience,
    device,
    address,
  };
  const create = {
    user: { username: named.username },
    ...(audience !== undefined && { audiences: [audience] }),
    expiresAt: new Date(until),
    issuedBy: 'login',
    reason: device ?? address,
    session: { describe: (digest: string) => texts.write(digest, session), idle: config.idle },
  };
  return fromStore(service, async () => {
    const begun = { revision, user: named, credential: proof.provider?.credential };
    const { token, issued } = await writeUnlessEnded(service, begun, {
      write: () => issuer.create(create, signal),
      takeBack: (made) => discardSession(service, made.issued),
      refuse,
    });
    // Such a token would be accepted nowhere.
    if (issued.session === undefined)
      throw new Error('its plugin has stored no session with the token');
    await endExcessSessions(service, named.username);
    return { token, session, user: named };
  });
}

/** Returns the milliseconds that a session lasts at most. @throws LoginError if its provider is not in the config any more */
function lifetimeOf({ config, browser }: LoginService, proof: ProviderProof) {
  if (proof.provider === undefined) return config.ttl;
  const found = findProvider(browser?.providers.values() ?? [], proof);
  if (found === undefined) throw wrongCode();
  return Math.min(config.ttl, found.ttl);
}

type ProviderProof = Pick<Session, 'authenticator' | 'provider'>;

/** Finds the provider at which someone logged in. Another provider may have its name now. */
export function findProvider(
  providers: Iterable<LoginProvider>,
  { authenticator, provider }: ProviderProof,
): LoginProvider | undefined {
  return [...providers].find(
    (one) =>
      one.name === provider?.name &&
      one.authenticator === authenticator &&
      one.issuer === provider.issuer &&
      one.clientId === provider.clientId,
  );
}

/** Asks the session store, and logs why it failed. @throws LoginError if it did, or as `work` does */
export function fromStore<Result>(
  { logger, problemOf }: LoginService,
  work: () => Promise<Result>,
): Promise<Result> {
  return work().catch((error: unknown) => {
    if (error instanceof LoginError) throw error;
    logger.warn({ reason: problemOf(error) }, 'session store failed');
    throw createUnavailableError('the session store');
  });
}

/**
 * Chooses a cluster of the config.
 *
 * @returns undefined if there is none
 * @throws LoginError for an unknown one, and if there are several
 */
export function chooseCluster(
  { clusters }: LoginConfig,
  named: string | undefined,
): string | undefined {
  const names = Object.keys(clusters);
  if (named === undefined && names.length <= 1) return names[0];
  if (named !== undefined && names.includes(named)) return named;
  // Their names are no secret: GET /v1/clusters lists them.
  const choice = names.length === 0 ? 'there is none' : `write one of ${names.join(', ')}`;
  if (named === undefined)
    throw new LoginError(400, 'cluster-required', `cluster is missing: ${choice}`);
  throw new LoginError(400, 'unknown-cluster', `cluster is not known: ${choice}`);
}

/**
 * Asks the authenticators as the chain does: the first definitive answer decides, and an error is not a refusal. After
 * an error, a refusal of a later authenticator is answered as an outage, too: else it would show that the later one
 * knows the name.
 */
async function checkPassword(
  { links, logger }: LoginService,
  { username, password }: Credentials,
  context: LinkContext,
  facts: LoginFacts,
): Promise<[LoginLink, LoggedInUser, unchecked: readonly LoginLink[]]> {
  const unchecked: LoginLink[] = [];
  let isChecked = false;
  for (const link of links) {
    try {
      const answer = await link.logIn(username, password, context);
      isChecked = true;
      if (answer.kind === 'no-opinion') continue;
      facts.authenticator = link.name;
      if (answer.kind === 'logged-in') return [link, answer, unchecked];
      facts.reason = answer.reason;
      facts.subject = answer.subject;
      break;
    } catch (error) {
      unchecked.push(link);
      facts.authenticator = link.name;
      const reason = withoutToken(asError(error).message, password);
      logger.warn({ authenticator: link.name, reason }, 'authenticator could not check a login');
      if (link.onError === 'stop') break;
    }
  }
  if (unchecked.length > 0) throw uncheckedLogin(isChecked);
  // The reason is for the operator. The name is not reported: what was typed may be a password.
  facts.reason ??= 'unknown-user';
  // There is one text for an unknown name, a wrong password and all other reasons of a refusal: it must not show who
  // exists.
  throw wrongCredentials();
}

/**
 * Refuses a user without a second factor while an authenticator before this one can't be asked whose users can have the same
 * names and a second factor: there they may have one.
 *
 * @param unchecked the authenticators that could not be asked
 * @throws LoginError
 */
async function requireNoOtherFactor(
  { factorPolicy, factors }: LoginService,
  link: LoginLink,
  { given, named }: LoggedInUser,
  unchecked: readonly LoginLink[],
): Promise<void> {
  const mayHaveFactor = ({ name, username: { prefix } }: LoginLink) =>
    prefix === link.username.prefix && factorPolicy.isCovered(name);
  if (!unchecked.some(mayHaveFactor)) return;
  const { username, uid } = given;
  const names = { username, ...(uid !== undefined && { uid }), name: named.username };
  const user = { authenticator: link.name, ...names };
  const need = await factors?.secondFactor
    .findNeed(user, named.groups ?? [])
    .catch(() => undefined);
  if (need === undefined || need.kind === 'nothing') throw uncheckedLogin(true);
}

/**
 * Ends the oldest sessions beyond the limit. Of logins at the same moment, the last one to get here sees the sessions
 * of all others. It is not part of the login itself: a session too many is no reason to refuse a login. It has a
 * deadline of its own, because a client that hangs up must not leave a session too many behind.
 */
async function endExcessSessions(service: LoginService, username: string): Promise<void> {
  const { config, logger, problemOf } = service;
  const signal = AbortSignal.timeout(service.timeout);
  try {
    const all = await sessionsOf(service, username, signal);
    const excess = all.slice(0, Math.max(0, all.length - config.maxSessions));
    for (const one of excess) await endSession(service, one, 'login.maxSessions', signal);
  } catch (error) {
    logger.warn(
      { reason: problemOf(error) },
      'sessions above login.maxSessions could not be ended',
    );
  }
}

/** Ends the session of a login that was ended while it was written. A session that stays is of no use: no one gets its token. */
async function discardSession(service: LoginService, session: IssuedToken): Promise<void> {
  const { logger, problemOf, timeout } = service;
  try {
    await endSession(service, session, 'login ended', AbortSignal.timeout(timeout));
  } catch (error) {
    logger.warn({ reason: problemOf(error) }, 'session of an ended login could not be removed');
  }
}

/** @throws Error if the store fails */
async function endSession(
  { issuer }: LoginService,
  session: IssuedToken,
  reason: string,
  signal: AbortSignal,
): Promise<void> {
  // The record of a revoked session takes memory for as long as the session would have lasted.
  if (issuer.delete) await issuer.delete(session, signal);
  else await consume(issuer.revoke(session, { at: new Date(), by: 'login', reason }, signal));
}

async function consume(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** Lists the sessions of a user that have not ended, the oldest first. @param username as Kubernetes sees it */
export async function sessionsOf({ issuer }: LoginService, username: string, signal: AbortSignal) {
  const all: IssuedToken[] = [];
  for await (const one of issuer.list({ username, sessions: true }, signal)) {
    if (!('problem' in one) && isInForce(one)) all.push(one);
  }
  return all.sort(
    (one, other) => (one.issuedAt?.getTime() ?? 0) - (other.issuedAt?.getTime() ?? 0),
  );
}

/** Whether a session has neither been revoked nor expired. */
export function isInForce({ revoked, expiresAt }: IssuedToken): boolean {
  return revoked === undefined && (expiresAt?.getTime() ?? 0) > Date.now();
}
