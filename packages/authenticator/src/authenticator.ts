import type { Decision, UserInfo } from './decision.ts';

/** What an authenticator gets of a review besides the token. */
export interface AuthenticateContext {
  /** The audiences the review asks for; empty means the API server's own. Most authenticators need not look. */
  readonly audiences: readonly string[];
  /** Aborted at the deadline, or when the caller has disconnected. Stop work then, and throw. */
  readonly signal: AbortSignal;
  /**
   * How many gateways forwarded the review before it came here, as they say themselves (the header `Sallyport-Hops`). Left
   * out: none. Only an authenticator that forwards reviews needs it: with it, gateways that ask each other notice a circle.
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
   * and how many entries it found. Only `sallyport explain` passes it, so make the text only when it is there. A step
   * names a user and never has a token or a password in it. A plugin may ignore it.
   */
  readonly trace?: (step: string) => void;
}

/** Tokens that are all bound to some of these audiences. */
export interface TokenAudiences {
  /** Where they come from, for a message: `issuer https://idp.example.com`. */
  readonly source: string;
  readonly audiences: readonly string[];
}

/** A user who has logged in, as the authenticator's own decision named them then: without the prefix of gateway.yaml. */
export type LoggedIn = Pick<UserInfo, 'username' | 'uid'>;

/** What an authenticator gets with a user who has logged in before. */
export interface RevalidateContext extends Pick<AuthenticateContext, 'signal' | 'trace'> {
  /** When the password was checked. A password that was changed later ends the session. */
  readonly since: Date;
}

/**
 * Decides about bearer tokens. Every layer of the gateway (the chain, the guard, the identity policy) is an authenticator
 * too, so they can be stacked.
 */
export interface Authenticator {
  /**
   * What each token of this authenticator begins with, if they have a common prefix. `sallyport check` warns when two
   * authenticators recognise each other's tokens.
   */
  readonly tokenPrefix?: string;

  /**
   * Where the records of its tokens are, such as the address of a store with the prefix of its keys; without a secret. By it
   * `sallyport check` finds two authenticators with one such place: the commands for tokens of one then show and end those of the other.
   * Left out: there are no records, or no one can name their place.
   */
  readonly tokenStore?: string;

  /**
   * Returns whether the token has the shape of this authenticator's tokens, without any I/O and within microseconds. False
   * means no opinion: the token neither waits for this authenticator nor fails with it. Left out: it is asked about every
   * token.
   */
  recognizes?(token: string): boolean;

  /**
   * Says what is wrong with a token that `recognizes` refuses and that still looks like one of its own: a checksum that does not
   * match, an issuer that is not in the options. Only `sallyport explain` asks, after `recognizes` has returned false: without any I/O
   * and without a throw. The words follow "the token". Nothing of the token may be in them, except for what it names openly, such as an
   * issuer: quoted, and at most 200 characters of it. Undefined, or left out: it does not look like one of its own.
   */
  whyUnrecognized?(token: string): string | undefined;

  /**
   * Returns the name that the token carries beside a password, from its text alone, within microseconds, without any I/O and
   * without a throw; the same for all spellings that the backend may treat as one. Undefined for a token without a password.
   * Left out: no token of this authenticator carries one.
   *
   * The gateway limits how often one name is looked up in a second, so that guesses for one name cannot use up the
   * backend. And `sallyport block --token` refuses such a token, since the same login in another spelling is another token:
   * it names the user to block instead.
   */
  claimedName?(token: string): string | undefined;

  /**
   * Writes the token of a name and a password, by which `authenticate` then logs the user in; without any I/O and without a
   * throw. For the login server, which gets the two from a person. Left out: no one can log in with a password. And by it
   * `sallyport check` finds authenticators that are asked about the same names, since they recognize each other's.
   *
   * @returns undefined for a name or a password that no token of this authenticator can carry
   */
  loginToken?(username: string, password: string): string | undefined;

  /**
   * Checks one token. Called many times at once; calls must not share state.
   *
   * An authenticator that has its answer at hand, without any I/O, may return the decision itself in place of a promise:
   * a review then costs less. If it returns the same frozen decision each time, it costs less again.
   *
   * @param token never empty, at most `server.maxTokenSize` bytes, well-formed Unicode
   * @throws AuthenticatorError when the token could not be checked; never to refuse it
   */
  authenticate(token: string, context: AuthenticateContext): Decision | Promise<Decision>;

  /**
   * Contacts the backend, and throws an error that says in plain words what is wrong. For `sallyport check` and
   * `/readyz?verbose`; it never decides readiness, since one backend that is down must not lock all users out.
   *
   * @returns what does not work although the backend answers, such as one of several servers that is down, or a filter that finds
   *   no user. Each text says how to fix it, and contains no secret. Nothing, or an empty list: all is well
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a check that has nothing to say may be declared as Promise<void>
  check?(signal: AbortSignal): Promise<readonly string[] | void>;

  /**
   * Lists the users that it knows without asking a backend. Where it knows none, it may make one up of each kind that its options can
   * give, with all keys of `extra`, and a `uid` if they get one, such as `oidc:<sub>`. `sallyport check` applies the identity policy to
   * each of them, so that a token that the policy refuses is found before it is needed. It also warns if people log in with the
   * authenticator, and a user has no `uid`.
   */
  knownUsers?(): Iterable<UserInfo>;

  /**
   * Lists the audiences to which its tokens can be bound, for each source of tokens that the options name. `sallyport check` warns of
   * a source whose tokens no API server of the config accepts. Left out: only each token shows its audiences, if it has some.
   */
  tokenAudiences?(): Iterable<TokenAudiences>;

  /**
   * Looks up a user with their groups, without a password. For `sallyport explain --user`. Left out: users can't be looked
   * up without their token.
   *
   * @param username as a decision names the user or as a login writes it, without the prefix of gateway.yaml
   * @returns undefined when the backend has no such user
   * @throws AuthenticatorError when it could not be checked
   */
  lookUp?(username: string, context: Pick<AuthenticateContext, 'signal' | 'trace'>): Promise<UserInfo | undefined>;

  /**
   * Checks without a password whether a user who logged in before may still come in: whether they still exist (as the same
   * `uid`, if the login had one), are not disabled, locked or expired, and have the password of then. Their groups are read
   * anew. Left out: a session cannot follow this backend.
   *
   * A backend often records the change of a password in whole seconds. A change that it records in the second of `since`
   * may have come before the login, so it does not end the session.
   *
   * @returns `authenticated` with the user as they are today, under the same name, or `rejected` with `unknown-user`,
   *   `disabled`, `locked`, `expired`, `ambiguous`, `password-expired` or `password-changed`; never `no-opinion`
   * @throws AuthenticatorError when it could not be checked
   */
  revalidate?(user: LoggedIn, context: RevalidateContext): Promise<Decision>;

  /** Ends connections and timers. Called once no `authenticate` is in progress; a second call does nothing. */
  close(): Promise<void>;
}
