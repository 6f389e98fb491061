import type { Decision, UserInfo } from './decision.ts';

/**
 * An authenticator decides about bearer tokens. A plugin's has these two methods, and of the abilities below those that fit its
 * tokens and its backend: each is optional. Every layer of the gateway is an authenticator too, so they can be stacked.
 */
export interface Authenticator
  extends Partial<Recognizing>,
    Partial<Checkable>,
    Partial<PasswordLogin>,
    Partial<UserDirectory>,
    Partial<ListsUsers>,
    Partial<ChecksIdTokens>,
    Partial<VersionsAnswers> {
  /**
   * Checks one token. Many calls run concurrently, so they must not share state. Return a new or a frozen object each time:
   * what one caller changes must not reach the next. A decision that is the same deeply frozen object each time is checked
   * once. An authenticator that has its answer without any I/O may return the
   * decision itself instead of a promise, which makes the review cheaper.
   *
   * @param token never empty, at most `server.maxTokenSize` bytes, well-formed Unicode
   * @throws AuthenticatorError when the token could not be checked; never to refuse it
   */
  authenticate(token: string, context: AuthenticateContext): Decision | Promise<Decision>;

  /**
   * Ends connections and timers, even while the backend hangs. It is called once no `authenticate` is in progress; a second call
   * does nothing.
   */
  close(): Promise<void>;
}

/**
 * Recognizing authenticators know their own tokens by the shape, so no other token waits for their backend or is sent to it.
 * Leave these out only if your tokens have no common shape: the authenticator is then asked about every token.
 */
export interface Recognizing {
  /**
   * Returns whether the token has the shape of this authenticator's tokens, without any I/O, within microseconds and without a
   * throw. False means no opinion: the token never reaches `authenticate`, so it does not wait for this authenticator or
   * fail with it.
   */
  recognizes(token: string): boolean;

  /**
   * The text that each token of this authenticator begins with. `sallyport check` warns when the prefix of one authenticator
   * begins with the prefix of another. Leave it out if your tokens have several prefixes or none.
   */
  readonly tokenPrefix?: string;

  /**
   * Says what is wrong with a token that `recognizes` refuses and that still looks like one of its own: a checksum that does
   * not match, an issuer that is not in the options. Only `sallyport explain` calls it, after `recognizes` has returned false,
   * and shows it instead of "not the shape of its tokens": without any I/O and without a throw. The words follow "the token".
   * They contain nothing of the token except for what it names openly, such as an issuer: quoted, and at most 200 characters of
   * it.
   *
   * @returns undefined when the token does not look like one of its own
   */
  whyUnrecognized?(token: string): string | undefined;

  /**
   * Returns whether Sallyport has made the token: it has so many random bits that no one can find it by its digest. With
   * `server.authorize`, kube-apiserver then gets the token's SHA-256 as a credential ID, so that `sallyport revoke` and `block` end it
   * within seconds. It is called only for a token that was accepted, without any I/O and without a throw. Leave it out if users or other
   * systems choose the tokens.
   */
  isIssued?(token: string): boolean;
}

/** Checkable authenticators let `sallyport check` find what does not work before a user does. */
export interface Checkable {
  /**
   * Contacts the backend, and throws an error that says in plain words what is wrong. `sallyport check` calls it, and
   * `/readyz?verbose` and the status page do at most every 10 s. It never decides readiness, since one backend that is down
   * must not lock all users out. A backend without a ping gets a random token, which it must not accept; never a user's token
   * or password, since repeated failures lock accounts.
   *
   * @param use how `directory` in gateway.yaml uses this authenticator. Only `sallyport check` passes it. Warn then of a user who
   *   could choose whose groups they get. A plugin may ignore it
   * @returns what does not work although the backend answers, such as one of several servers that is down, or a filter that finds
   *   no user. Each string says how to fix it, and contains no secret. Nothing, or an empty list, means that all works
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a check that has nothing to say may be declared as Promise<void>
  check(signal: AbortSignal, use?: DirectoryUse): Promise<readonly string[] | void>;

  /**
   * The place of the token records, such as the address of a store with the prefix of its keys; without a secret. `sallyport
   * check` warns of two authenticators with the same place: the commands for tokens of one then show and revoke those of the
   * other. Left out: there are no records, or no one can name their place.
   */
  readonly tokenStore?: string;

  /**
   * Lists the audiences to which tokens can be bound, for each source of tokens that the options name. `sallyport check` warns of
   * a source whose tokens no API server of the config accepts. Left out: only each token shows its audiences, if it has some.
   */
  tokenAudiences?(): Iterable<TokenAudiences>;
}

/** Password logins are tokens that carry a name and a password. Every plugin that sends passwords to its backend has them. */
export interface PasswordLogin {
  /**
   * Returns the name that the token carries beside a password, from the token alone, within microseconds, without any I/O and
   * without a throw; the same for all spellings that the backend may treat as one. Undefined for a token without a password.
   *
   * The gateway looks one name up at most 20 times a second, so that guesses for one name cannot use up the backend. And
   * `sallyport block --token` refuses such a token, since the same login in another spelling is another token: it names the user
   * to block instead.
   */
  claimedName(token: string): string | undefined;

  /**
   * Writes the token of a name and a password, by which `authenticate` then logs the user in; without any I/O and without a
   * throw. With it and `revalidate`, the authenticator can be in `login.authenticators`: the login server gets the two from a
   * person. Left out: no one can log in there. By it `sallyport check` also finds authenticators that are asked about the
   * same names, since they recognize each other's tokens.
   *
   * @returns undefined for a name or a password that no token of this authenticator can carry
   */
  loginToken?(username: string, password: string): string | undefined;
}

/**
 * User directories find users without their password or token. An authenticator may have one of the two methods alone. With both, it
 * can be the `directory` of other authenticators: for each user of theirs, the gateway calls `lookUp` and then `revalidate` with the
 * user that it found.
 */
export interface UserDirectory {
  /**
   * Looks up a user with their groups. `sallyport explain --user` calls it, and the gateway for the `directory` of another
   * authenticator.
   *
   * @param username as a decision names the user or as a login writes it, without the prefix of gateway.yaml. With `isJoin`, it
   *   may be anything that the token of another authenticator says
   * @returns undefined when the backend has no such user
   * @throws AuthenticatorError when it could not be checked, or when several users have this name; with `isJoin` also, as `failed`,
   *   when no one was looked for, since no user can have it: `missing: accept` lets in users who are not found
   */
  lookUp(username: string, context: LookUpContext): Promise<UserInfo | undefined>;

  /**
   * Checks whether a user who logged in before, or has a token of another authenticator, may still log in: whether they still exist
   * (as the same `uid`, if there is one), are not disabled, locked or expired, and have not changed their password. Their groups are
   * read again. A session of the login server needs it, and the `directory` of another authenticator.
   *
   * A backend often records the change of a password in whole seconds. A change that it records in the second of `since`
   * may have come before the login, so it does not end the session.
   *
   * @returns `authenticated` with the user as they are today, under the same name, or `rejected` with `unknown-user`,
   *   `disabled`, `locked`, `expired`, `ambiguous`, `password-expired` or `password-changed`; never `no-opinion`
   * @throws AuthenticatorError when it could not be checked
   */
  revalidate(user: LoggedIn, context: RevalidateContext): Promise<Decision>;
}

/** Authenticators that list users know them, or what they look like, without asking a backend, such as those of a file. */
export interface ListsUsers {
  /**
   * Lists these users. If you know none, make one up of each kind that your options can give, such as `oidc:<sub>` with all its keys
   * of `extra`, and with a `uid` if they get one. `sallyport check` warns of an authenticator of `login.authenticators` whose users have
   * no `uid`, and applies the identity policy to each of them, so that an operator learns of a token that
   * the policy refuses before someone needs it.
   */
  knownUsers(): Iterable<UserInfo>;
}

/** Authenticators that check ID tokens let the login server log users in at the OpenID Connect providers that issue them. */
export interface ChecksIdTokens {
  /**
   * Lists the OpenID Connect issuers whose ID tokens this authenticator accepts and whose discovery document can be fetched, without
   * any I/O and without a throw. `login.providers` needs it: the login server sends the browser to the issuer, gets an ID token for
   * its client ID, and gives it to `authenticate`, which alone decides.
   */
  idTokenIssuers(): Iterable<IdTokenIssuer>;
}

/** Authenticators that version their answers decide by something that changes while they run, such as the keys of an issuer. */
export interface VersionsAnswers {
  /**
   * Returns the version of what decides about tokens, apart from the options: such as a digest of the keys in force, the same in
   * all replicas that have the same keys. An answer that was cached with another version is not used, even while the backend
   * is unavailable. It is called at each review: without any I/O, within microseconds and without a throw.
   */
  answersVersion(): string;
}

/** An `AuthenticateContext` is what an authenticator gets of a review besides the token. */
export interface AuthenticateContext {
  /** The audiences that the review asks for. Empty: the API server's own. Most authenticators need not look. */
  readonly audiences: readonly string[];
  /** Aborted at the deadline, or when the caller has disconnected. Stop work then, and throw. */
  readonly signal: AbortSignal;
  /**
   * The number of gateways that forwarded the review before, as the header `Sallyport-Hops` says. Left out: none. Only an
   * authenticator that forwards reviews needs it: it sends the header with one more, and throws `failed` after three, so that
   * gateways that ask each other notice a circle.
   */
  readonly hops?: number | undefined;
  /**
   * Call it when the backend has answered for this call and the rest depends on this one token, such as a password hash
   * of very many rounds or very many groups. A deadline that passes after that is `failed`; before that it is an outage.
   * So a token that takes long cannot open the circuit for all others.
   */
  readonly backendAnswered?: () => void;
  /**
   * Shows an operator what the backend was asked for this call and what it answered, one step a call: the search that ran
   * and how many entries it found. Only `sallyport explain` passes it, so make the string only when it is there. A step
   * names a user and never contains a token or a password. A plugin may ignore it.
   *
   * `values` are what the step is about, such as the value of a claim: `explain` shows them after the step. A log has only the step,
   * where the token of a login can't be explained later.
   */
  readonly trace?: (step: string, values?: string) => void;
}

/** A `LookUpContext` is what an authenticator gets with the name of a user to look up. */
export interface LookUpContext extends Pick<AuthenticateContext, 'signal' | 'trace'> {
  /**
   * True: the name comes from a token of another authenticator, and the bearer of that token gets the groups of the user who is
   * found. So find a user only by what the operator has chosen for this, and only by an exact match, in which at most case is
   * ignored: never by a second guess. Many directories treat other Unicode forms as the same name (fullwidth letters, soft
   * hyphens, spaces, with some also accents), so compare the name that was found. Find users who are disabled or locked as
   * well: one who is not found is let in by `missing: accept`, and `revalidate` is not asked. The groups need not be read,
   * since `revalidate` reads them next. Left out: an operator looks the user up.
   */
  readonly isJoin?: boolean;
}

/** A `RevalidateContext` is what an authenticator gets with a user who has logged in before. */
export interface RevalidateContext extends Pick<AuthenticateContext, 'signal' | 'trace'> {
  /**
   * When the password was checked. A password that was changed later ends the session. Left out: no password was checked, since the
   * user has a token of another authenticator. Then no change of a password counts.
   */
  readonly since?: Date;
}

/** A user who has logged in, as the authenticator's own decision named them then: without the prefix of gateway.yaml. */
export type LoggedIn = Pick<UserInfo, 'username' | 'uid'>;

/** `LookUpKey` is the part of a user by which `directory` finds them: a value of `extra` must be the only one of its key. */
export type LookUpKey = 'username' | 'uid' | { readonly extra: string };

/** `DirectoryUse` is how `directory` in gateway.yaml uses an authenticator. */
export interface DirectoryUse {
  /** The part of this authenticator's users by which they are looked up in another one. Left out: they are not. */
  readonly lookedUpBy?: LookUpKey;
  /** Whether users of other authenticators are looked up in this one. */
  readonly isDirectory?: boolean;
}

/** An `IdTokenIssuer` is an OpenID Connect issuer, with what a client of it needs to know. */
export interface IdTokenIssuer {
  /** The issuer, as `iss` of its tokens and `issuer` of its discovery document contain it, byte for byte. */
  readonly issuer: string;
  /** An ID token must be for one of these, so one of them must be the client ID. */
  readonly audiences: readonly string[];
  /** The `https` URL of the discovery document. */
  readonly discoveryUrl: string;
  /**
   * Returns the CAs of the issuer as PEM. Undefined: the CAs of Node. The login server calls it for each request, so that a changed
   * file takes effect.
   */
  readonly ca: () => string | Buffer | undefined;
}

/** `TokenAudiences` names a source of tokens, each of which is bound to some of these audiences. */
export interface TokenAudiences {
  /** The source, for a message: `issuer https://idp.example.com`. */
  readonly source: string;
  readonly audiences: readonly string[];
}
